import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's tools one after the other in one virtual machine, because starting one takes longer than what most tools do.
 *
 * In: on standard input, for each tool, the number of words, the words (its class and its arguments) and what it shall read, each
 * as a length and that many bytes. Out: its exit code, what it printed, and what it printed as errors. Always holds: a tool finds
 * what it would find alone. It reads its own input, its threads print into its own output, it ends with the first exit code that
 * anything in it asks for, or when its last thread has, and what it left for the end is done then.
 */
public final class Tools {
    private static final class Exited extends Error {
        Exited() {
            super(null, null, false, false);
        }
    }

    private static final class Tool {
        final InputStream input;
        final ByteArrayOutputStream printed = new ByteArrayOutputStream();
        final ByteArrayOutputStream complained = new ByteArrayOutputStream();
        final List<Runnable> hooks = new CopyOnWriteArrayList<>();
        final AtomicBoolean ends = new AtomicBoolean();
        final CompletableFuture<Integer> code = new CompletableFuture<>();

        Tool(byte[] input) {
            this.input = new ByteArrayInputStream(input);
        }

        /** Only the first end counts; what is printed after it was printed by nobody. */
        void end(int exitCode) {
            if (ends.getAndSet(true)) return;
            for (Runnable hook : hooks) hook.run();
            code.complete(exitCode);
        }
    }

    /** The tool that a thread belongs to: the one of the thread that made it. */
    private static final InheritableThreadLocal<Tool> current = new InheritableThreadLocal<>();

    public static void main(String[] args) throws IOException, InterruptedException, ExecutionException {
        DataInputStream requests = new DataInputStream(System.in);
        DataOutputStream answers = new DataOutputStream(System.out);
        System.setIn(new InputStream() {
            @Override
            public int read() throws IOException {
                return current.get().input.read();
            }

            @Override
            public int read(byte[] bytes, int offset, int length) throws IOException {
                return current.get().input.read(bytes, offset, length);
            }
        });
        System.setOut(new PrintStream(new Switched(false), true, UTF_8));
        System.setErr(new PrintStream(new Switched(true), true, UTF_8));
        Exit.setExitProcedure(Tools::exit);
        Exit.setHaltProcedure(Tools::exit);
        Exit.setShutdownHookAdder((name, hook) -> current.get().hooks.add(hook));
        while (true) {
            String[] words;
            try {
                words = new String[requests.readInt()];
            } catch (EOFException nobodyAsks) {
                // Threads that a tool left may still run.
                Runtime.getRuntime().halt(0);
                return;
            }
            for (int i = 0; i < words.length; i++) words[i] = new String(sized(requests), UTF_8);
            Tool tool = new Tool(sized(requests));
            int code = run(tool, words);
            answers.writeInt(code);
            for (ByteArrayOutputStream said : List.of(tool.printed, tool.complained)) {
                byte[] bytes = said.toByteArray();
                answers.writeInt(bytes.length);
                answers.write(bytes);
            }
            answers.flush();
        }
    }

    private static byte[] sized(DataInputStream requests) throws IOException {
        return requests.readNBytes(requests.readInt());
    }

    private static int run(Tool tool, String[] words) throws InterruptedException, ExecutionException {
        ThreadGroup group = new ThreadGroup(words[0]);
        Thread main = new Thread(group, () -> {
            current.set(tool);
            try {
                String[] args = Arrays.copyOfRange(words, 1, words.length);
                Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) args);
            } catch (InvocationTargetException failure) {
                if (failure.getCause() instanceof Exited) return;
                failure.getCause().printStackTrace();
                tool.end(1);
            } catch (ReflectiveOperationException failure) {
                failure.printStackTrace();
                tool.end(1);
            }
        }, "main");
        main.start();
        // A virtual machine of its own would end with the last thread that is no daemon.
        Thread ender = new Thread(() -> {
            try {
                main.join();
                Thread[] left = new Thread[group.activeCount() + 16];
                for (int i = group.enumerate(left) - 1; i >= 0; i--) if (!left[i].isDaemon()) left[i].join();
            } catch (InterruptedException nobodyInterrupts) {
                throw new AssertionError(nobodyInterrupts);
            }
            current.set(tool);
            tool.end(0);
        });
        ender.start();
        return tool.code.get();
    }

    private static void exit(int code, String message) {
        current.get().end(code);
        throw new Exited();
    }

    /** Standard output, or standard error, of whichever tool the thread belongs to that prints. */
    private static final class Switched extends OutputStream {
        private final boolean errors;

        Switched(boolean errors) {
            this.errors = errors;
        }

        @Override
        public void write(int value) {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) {
            Tool tool = current.get();
            if (tool == null || tool.code.isDone()) return;
            (errors ? tool.complained : tool.printed).write(bytes, offset, length);
        }
    }
}
