// Three pods with a volume each, spread over nodes, that answer with their names: something to find, to lose and to find again.
import { images, restricted, type Namespace } from './cluster.ts'

const answerWithName =
  "require('node:http').createServer((_, reply) => reply.end(require('node:os').hostname())).listen(8080, () => console.log('listening'))"

const labels = { app: 'web' }
export const selector = 'app=web'

const statefulSet = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'web' },
  spec: {
    serviceName: 'web',
    replicas: 3,
    podManagementPolicy: 'Parallel',
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        securityContext: { fsGroup: 65532 },
        terminationGracePeriodSeconds: 1,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: labels },
          },
        ],
        containers: [
          {
            name: 'web',
            image: images.tools,
            command: ['node', '-e', answerWithName],
            ports: [{ name: 'http', containerPort: 8080 }],
            readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
            securityContext: restricted,
          },
        ],
      },
    },
    volumeClaimTemplates: [
      {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ],
  },
}

const service = (name: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
})

export async function applyWeb(namespace: Namespace): Promise<void> {
  await namespace.apply(
    service('web', { clusterIP: 'None' }),
    service('front', {}),
    service('outside', { type: 'NodePort' }),
    statefulSet,
  )
  await namespace.rolledOut('statefulset/web', selector)
}

/** What a pod reads from `url`. */
export const fetchFrom = (namespace: Namespace, pod: string, url: string): Promise<string> =>
  namespace.exec(
    pod,
    'node',
    '-e',
    `fetch('${url}').then(async got => process.stdout.write(await got.text()))`,
  )

/** The names that answered `times` requests of a pod to `url`, each on a connection of its own. */
export async function answering(
  namespace: Namespace,
  pod: string,
  url: string,
  times: number,
): Promise<string[]> {
  const program = `
    const ask = () => new Promise((resolve, reject) =>
      require('node:http').get('${url}', { agent: false, timeout: 2000 }, reply => {
        let text = ''
        reply.on('data', bytes => (text += bytes))
        reply.on('end', () => resolve(text))
      }).on('timeout', function () { this.destroy(new Error('no answer')) }).on('error', reject))
    Promise.all(Array.from({ length: ${times} }, ask)).then(all => console.log([...new Set(all)].sort().join(' ')))`
  return (await namespace.exec(pod, 'node', '-e', program)).trim().split(' ')
}
