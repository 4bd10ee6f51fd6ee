import { fstatSync, writeSync } from 'node:fs'
import { pino, type DestinationStream, type Logger, type StreamEntry } from 'pino'
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
 * The broker's log: on stderr, readable for people on a terminal, JSON lines otherwise; and as JSON lines in a rolling file
 * when one is named. All within this process, without a worker thread. Where it cannot be written (a full disk, a reader that
 * went away), lines are lost and the broker goes on.
 * @throws Failure when the file cannot be written from the start
 */
export async function openLog(settings: LogSettings): Promise<Logger> {
  const streams = [settings.terminal ? await forPeople() : forPrograms()]
  if (settings.file !== '') streams.push(await forFile(settings.file))
  const entries = streams.map((stream): StreamEntry => ({ level: 'trace', stream }))
  return pino({ level: settings.level, base: null }, pino.multistream(entries))
}

async function forPeople(): Promise<DestinationStream> {
  // CommonJS: as a bundle it has no named exports.
  const { default: pretty } = await import('pino-pretty')
  return pretty({
    destination: 2,
    sync: true,
    colorize: true,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  })
}

/** A file takes each line at once; who reads a pipe may be stuck, and must not hold the broker up. */
function forPrograms(): DestinationStream {
  const stat = fstatSync(2)
  const sync = !stat.isFIFO() && !stat.isSocket()
  const stderr = pino.destination({ dest: 2, sync, maxLength: bytesWaitingMax })
  stderr.on('error', () => {})
  if (sync) return withoutFlush(stderr)
  // At the end of the process it would try for ever to bring the last lines to a reader that is gone.
  const flush = stderr.flushSync.bind(stderr)
  stderr.flushSync = () => {
    if (isRead(2)) flush()
  }
  return stderr
}

/** Whether anybody takes what is written: before a line of JSON a space says nothing. */
function isRead(pipe: number): boolean {
  try {
    writeSync(pipe, ' ')
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN'
  }
}

async function forFile(path: string): Promise<DestinationStream> {
  const { default: openRollingFile } = await import('pino-roll')
  const sentence = (error: unknown) => `the log file ${path} cannot be written: ${(error as Error).message}`
  const file = await openRollingFile({
    file: path,
    size: fileSize,
    mkdir: true,
    limit: { count: filesKept, removeOtherLogFiles: true },
    sync: true,
    maxLength: bytesWaitingMax,
  }).catch((error: unknown) => {
    throw new Failure(sentence(error), 'Check stele.log.file.')
  })
  file.once('error', (error: Error) => process.stderr.write(`stele: ${sentence(error)}\n`))
  file.on('error', () => {})
  return withoutFlush(file)
}

/** What is written line by line has nothing to flush; and sonic-boom's flushSync never returns while the disk is full. */
const withoutFlush = (stream: DestinationStream): DestinationStream => ({
  write: line => stream.write(line),
})
