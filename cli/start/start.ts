import { resolve } from 'node:path'
import { startBroker } from '../../broker/main.ts'
import { realClock } from '../../broker/world/clock.ts'
import { resolveBroker } from '../../broker/settings/resolve.ts'
import { openLog } from '../logger.ts'
import { write } from '../output.ts'
import { versionText } from '../version.ts'
import { command } from './command-name.ts'
import { settingsOf, type Given } from './given-settings.ts'
import { greeting, readyLine } from './greeting.ts'
import { inKubernetes } from './in-kubernetes.ts'
import { joinParent } from './member.ts'
import { startFailure } from './start-failure.ts'
import { stopSignal } from './stop-signal.ts'

type Options = Given & {
  readonly data: string
  readonly kafka?: string
  readonly http?: string
  readonly json?: true
  readonly control: 'embedded' | 'kubernetes' | 'parent'
}

/** Runs a broker until a signal stops it; then everything is on disk and the process ends with 0. */
export async function start(options: Options): Promise<void> {
  const signal = stopSignal()
  const member = options.control === 'parent' ? await joinParent(realClock) : undefined
  const stopped = member === undefined ? signal : Promise.race([signal, member.orphaned])
  const settings = settingsOf(options)
  const { logLevel, logFile, brokerId } = resolveBroker({ dynamic: {}, static: settings })
  const opened = await openLog({ level: logLevel, file: logFile, terminal: process.stderr.isTTY })
  const log = member === undefined ? opened : opened.child({ broker: brokerId })
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
    ...(member && { cluster: member.cluster }),
    kafka,
    http,
    settings,
    log,
    version: versionText(),
    // Alone nobody has what is still open here; of several the others have it, and this one copies it anew.
    ...(options.control !== 'embedded' && {
      vanished: () =>
        lost(
          `${dataDirectory} was taken away while this broker ran: it ends, and begins anew when it is started`,
        ),
    }),
  })
  const broker = await Promise.race([started, stopped]).catch((error: unknown) => {
    throw startFailure(error)
  })
  if (typeof broker === 'string') {
    log.info({ signal: broker }, 'stopped while starting: the next start recovers')
    process.exit(0)
  }
  if (member === undefined)
    await write(options.json ? readyLine(broker, process.pid) : greeting(broker, dataDirectory, command))
  else member.ready(broker)
  const why = await stopped
  if (why === 'orphaned') log.error('the process that keeps the control store has ended: stopping')
  else log.info({ signal: why }, 'stopping')
  await broker.stop(why === 'orphaned' ? why : undefined)
  process.exit(why === 'orphaned' ? 1 : 0)
}
