import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { startBroker } from '../../broker/main.ts'
import { readSettings } from '../../broker/settings/file.ts'
import { resolveBroker } from '../../broker/settings/resolve.ts'
import { openLog } from '../logger.ts'
import { write } from '../output.ts'
import { greeting, readyLine } from './greeting.ts'
import { startFailure } from './start-failure.ts'
import { onStop } from './stop-signals.ts'

type Options = {
  readonly data: string
  readonly kafka?: string
  readonly http?: string
  readonly set?: string[]
  readonly config?: string
  readonly json?: true
}

/** Runs a broker until a signal stops it. The process ends with 0 when it stopped cleanly. */
export async function start(options: Options): Promise<void> {
  const settings = readSettings({
    ...(options.config !== undefined && {
      file: { path: options.config, text: readFileSync(options.config, 'utf8') },
    }),
    set: options.set ?? [],
  })
  const { logLevel, logFile } = resolveBroker({ dynamic: {}, static: settings })
  const { log, close } = await openLog({
    level: logLevel,
    file: logFile,
    terminal: process.stderr.isTTY,
  })
  const starting = startBroker({
    dataDirectory: options.data,
    kafka: options.kafka,
    http: options.http,
    settings,
    log,
  }).catch((error: unknown) => {
    throw startFailure(error, options.data)
  })
  onStop(async signal => {
    log.info({ signal }, 'stopping')
    const broker = await starting
    await broker.stop()
    log.info('stopped')
    close()
    process.exit(0)
  })
  const doors = await starting
  await write(options.json ? readyLine(doors, process.pid) : greeting(doors, resolve(options.data)))
}
