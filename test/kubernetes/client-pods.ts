// Programs that use Kafka's client in pods of their own, as users' programs do.
import { build } from 'esbuild'
import { images, restricted, until, type Namespace } from './cluster.ts'

const configMap = 'client-program'

/** Brings the program into the namespace; once before pods use it. */
export async function addClientProgram(namespace: Namespace): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [`${import.meta.dirname}/client-program.ts`],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    write: false,
    // kafkajs asks for Node's modules with require.
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
  })
  const program = outputFiles[0]?.text ?? ''
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: configMap },
    data: { 'client.mjs': program },
  }
  // Larger than what `apply` keeps in an annotation.
  await namespace.replace(object)
}

type Records = {
  readonly bootstrap: string
  readonly topic: string
  readonly first: number
  readonly count: number
}

/** A pod that produces or consumes these records; answers what it said. */
export async function clientPod(
  namespace: Namespace,
  what: 'produce' | 'consume',
  { bootstrap, topic, first, count }: Records,
): Promise<Record<string, number>> {
  const name = `${what}-${topic}-${first}`
  await namespace.kubectl('delete', 'pod', name, '--ignore-not-found')
  await namespace.apply(pod(name, [what, bootstrap, topic, String(first), String(count)]))
  const phase = async (): Promise<string> =>
    (await namespace.get<{ status: { phase: string } }>('pod', name)).status.phase
  const logs = (): Promise<string> => namespace.kubectl('logs', name).catch(String)
  await until(`${name} to be through`, async () => ['Succeeded', 'Failed'].includes(await phase()), {
    limitMs: 120_000,
    everyMs: 250,
    explain: logs,
  })
  const said = await logs()
  if ((await phase()) === 'Failed') throw new Error(`${name} failed: ${said}`)
  await namespace.kubectl('delete', 'pod', name)
  return JSON.parse(said.trim().split('\n').at(-1) ?? '') as Record<string, number>
}

const pod = (name: string, args: readonly string[]): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'client' } },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'client',
        image: images.tools,
        command: ['node', '/program/client.mjs', ...args],
        volumeMounts: [{ name: 'program', mountPath: '/program' }],
        securityContext: restricted,
      },
    ],
    volumes: [{ name: 'program', configMap: { name: configMap } }],
  },
})
