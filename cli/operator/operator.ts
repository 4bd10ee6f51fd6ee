import { hostname } from 'node:os'
import process from 'node:process'
import { realWorld } from '../../broker/world/world.ts'
import { podAccess, type Access } from '../../kube/access.ts'
import { KubeClient } from '../../kube/client.ts'
import { startOperator } from '../../operator/main.ts'
import { Failure, usageFailure } from '../failure.ts'
import { openLog } from '../logger.ts'
import { stopSignal } from '../start/stop-signal.ts'
import { versionText } from '../version.ts'
import { serve } from './serve.ts'

type Options = {
  readonly namespace?: string
  readonly image?: string
  readonly http: string
  readonly kubeconfig?: string
  readonly logLevel: string
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

/** Runs the operator until a signal stops it. Its name and namespace come from POD_NAME and POD_NAMESPACE. */
export async function operate(options: Options): Promise<void> {
  const stopped = stopSignal()
  const { POD_NAME, POD_NAMESPACE, STELE_BROKER_IMAGE } = process.env
  const image = options.image ?? STELE_BROKER_IMAGE
  if (image === undefined || image === '')
    throw usageFailure('the image of brokers is not known', 'Say --image, or set STELE_BROKER_IMAGE.')
  if (!levels.includes(options.logLevel))
    throw usageFailure(`${options.logLevel} is no level of the log`, `Use one of ${levels.join(', ')}.`)
  const access = await accessOf(options.kubeconfig)
  const log = await openLog({ level: options.logLevel, file: '', terminal: process.stderr.isTTY })
  process.on('uncaughtExceptionMonitor', err => log.fatal({ err }, 'a bug stops this operator'))
  const userAgent = `stele-operator/${versionText()}`
  const { clock, random } = realWorld()
  const operator = startOperator({
    connect: onRequest => new KubeClient({ access, userAgent, onRequest }),
    clock,
    random,
    log,
    image,
    ...(options.namespace !== undefined && { watchNamespace: options.namespace }),
    pod: { name: POD_NAME ?? hostname(), namespace: POD_NAMESPACE ?? access.namespace },
  })
  const server = await serve(options.http, operator)
  log.info({ server: access.server, image, namespace: options.namespace ?? 'all' }, 'the operator runs')
  // A bug ends the process: Kubernetes starts it again.
  const signal = await Promise.race([stopped, operator.stopped])
  log.info({ signal }, 'stopping')
  await operator.stop()
  server.close()
  process.exit(0)
}

async function accessOf(kubeconfig: string | undefined): Promise<Access> {
  const own = kubeconfig === undefined ? podAccess() : undefined
  if (own !== undefined) return own
  // A pod never loads the client library.
  const { kubeConfigAccess } = await import('../../kube/kube-config.ts')
  try {
    return kubeConfigAccess(kubeconfig === undefined ? {} : { file: kubeconfig })
  } catch (error) {
    throw new Failure(
      error instanceof Error ? error.message : String(error),
      'Run it in a pod, or give --kubeconfig FILE.',
    )
  }
}
