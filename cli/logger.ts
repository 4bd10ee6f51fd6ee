import { pino, type Logger, type StreamEntry } from 'pino'
import type { RollingFile } from 'pino-roll'
import { Failure } from './failure.ts'

/** What a stuck reader of the log may keep in memory before lines are dropped. */
const bytesWaitingMax = 4 * 1024 * 1024
/** With `file: stele.log` there are stele.1.log, stele.2.log, …: the current file and this many before it. */
const filesKept = 4
const fileSize = '32m'

export type LogSettings = {
  readonly level: string
  /** Also written here, rolled by size; empty for nowhere. */
  readonly file: string
  /** Whether a person looks at stderr. */
  readonly terminal: boolean
}

/**
 * The broker's log: on stderr readable for people on a terminal, JSON lines otherwise; and as JSON lines in a rolling file
 * when one is named. All within this process: no worker thread, no line
 * lost on exit.
 */
export async function openLog(settings: LogSettings): Promise<Logger> {
  const streams: StreamEntry[] = [
    { level: 'trace', stream: settings.terminal ? await forPeople() : forPrograms() },
  ]
  const file = settings.file === '' ? undefined : await openFile(settings.file)
  if (file !== undefined) streams.push({ level: 'trace', stream: file })
  return pino({ level: settings.level, base: null }, pino.multistream(streams))
}

async function forPeople() {
  const { build } = await import('pino-pretty')
  return build({
    destination: 2,
    sync: true,
    colorize: true,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  })
}

const forPrograms = () => pino.destination({ dest: 2, sync: false, maxLength: bytesWaitingMax })

/** @throws Failure when the file cannot be written from the start */
async function openFile(path: string) {
  const { default: openRollingFile } = await import('pino-roll')
  const told = (error: unknown) => `the log file ${path} cannot be written: ${(error as Error).message}`
  let file: RollingFile
  try {
    file = await openRollingFile({
      file: path,
      size: fileSize,
      mkdir: true,
      limit: { count: filesKept, removeOtherLogFiles: true },
      sync: true,
      maxLength: bytesWaitingMax,
    })
  } catch (error) {
    throw new Failure(told(error), 'Check stele.log.file.')
  }
  // A full disk must not stop the broker because of its log: stderr has the lines too, and hears of this once.
  file.once('error', (error: Error) => process.stderr.write(`stele: ${told(error)}\n`))
  file.on('error', () => {})
  return file
}
