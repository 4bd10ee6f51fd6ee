import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { startBroker } from '../../broker/main.ts'
import { readSettings } from '../../broker/settings/file.ts'
import { resolveBroker } from '../../broker/settings/resolve.ts'
import { usageFailure } from '../failure.ts'
import { openLog } from '../logger.ts'
import { write } from '../output.ts'
import { versionText } from '../version.ts'
import { greeting, readyLine } from './greeting.ts'
import { inKubernetes } from './in-kubernetes.ts'
import { startFailure } from './start-failure.ts'
import { stopSignal } from './stop-signal.ts'

type Options = {
  readonly data: string
  readonly kafka?: string
  readonly http?: string
  readonly set?: string[]
  readonly config?: string
  readonly json?: true
  readonly control: 'embedded' | 'kubernetes'
}

/** How this command is said where it runs from. */
const command = import.meta.url.includes('/node_modules/') ? 'npx stele' : 'npm run -s stele --'

/** Runs a broker until a signal stops it; then everything is on disk and the process ends with 0. */
export async function start(options: Options): Promise<void> {
  const stopped = stopSignal()
  const settings = readSettings({
    ...(options.config !== undefined && { file: readConfig(options.config) }),
    set: options.set ?? [],
  })
  const { logLevel, logFile } = resolveBroker({ dynamic: {}, static: settings })
  const log = await openLog({ level: logLevel, file: logFile, terminal: process.stderr.isTTY })
  const dataDirectory = resolve(options.data)
  const { kafka, http } = options
  process.on('uncaughtExceptionMonitor', err =>
    log.fatal({ err }, 'a bug stops this broker; the next start recovers'),
  )
  const lost = (why: string): void => {
    // Whoever has the place now may lead already: not one more record, and nothing to finish.
    log.fatal(why)
    process.exit(1)
  }
  const started = startBroker({
    dataDirectory,
    ...(options.control === 'kubernetes' && { cluster: inKubernetes(process.env, lost) }),
    kafka,
    http,
    settings,
    log,
    version: versionText(),
  })
  const broker = await Promise.race([started, stopped]).catch((error: unknown) => {
    throw startFailure(error)
  })
  if (typeof broker === 'string') {
    log.info({ signal: broker }, 'stopped while starting: the next start recovers')
    process.exit(0)
  }
  await write(options.json ? readyLine(broker, process.pid) : greeting(broker, dataDirectory, command))
  log.info({ signal: await stopped }, 'stopping')
  await broker.stop()
  process.exit(0)
}

function readConfig(path: string): { path: string; text: string } {
  try {
    return { path, text: readFileSync(path, 'utf8') }
  } catch (error) {
    throw usageFailure(`${path} cannot be read: ${(error as Error).message}`, 'Check --config.')
  }
}
