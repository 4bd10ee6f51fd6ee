/**
 * One Ctrl-C may reach this process more than once: from the terminal, and again from npm or a wrapper that passes signals
 * on. A signal that comes this soon after the first is the same Ctrl-C.
 */
const sameMs = 500

type Signals = Pick<NodeJS.Process, 'on'>

/**
 * Calls `stop` at the first SIGINT, SIGTERM or SIGHUP. Who signals a second time does not want to wait: `leave` is called
 * with the exit code a shell gives to that signal.
 */
export function onStop(
  stop: (signal: string) => void,
  leave: (exitCode: number) => void = process.exit,
  signals: Signals = process,
  nowMs: () => number = () => performance.now(),
): void {
  let firstMs: number | undefined
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    signals.on(signal, () => {
      if (firstMs === undefined) {
        firstMs = nowMs()
        stop(signal)
      } else if (nowMs() - firstMs >= sameMs) leave(128 + number)
    })
  }
}
