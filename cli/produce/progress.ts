import { bytes, count, duration, plural } from '../format.ts'

export type Progress = {
  /** Records the broker has answered. */
  readonly records: number
  /** Bytes read from the input. */
  readonly bytes: number
  /** How many there are; undefined when the input is a pipe. */
  readonly bytesTotal: number | undefined
  readonly elapsedMs: number
}

/** One line that shows how far it got: a bar with percent and time left when the end is known. At most `columns` wide. */
export function progressLine(progress: Progress, columns: number): string {
  const { bytesTotal, elapsedMs } = progress
  const text = `${count(progress.records)} records  ${bytes(progress.bytes)}  ${rates(progress)}`
  if (bytesTotal === undefined || bytesTotal === 0) return `${text}  ${duration(elapsedMs)}`.slice(0, columns)
  const part = Math.min(1, progress.bytes / bytesTotal)
  const left = part === 0 ? '' : `  ${duration((elapsedMs / part) * (1 - part))} left`
  const percent = `${Math.floor(part * 100)} %`.padStart(5)
  const room = Math.min(30, columns - text.length - percent.length - left.length - 4)
  return `${room < 5 ? '' : `${bar(part, room)} `}${percent}  ${text}${left}`.slice(0, columns)
}

/** What was done in the end, for people. */
export function summary(progress: Progress, refused: number): string {
  const { records, elapsedMs } = progress
  const refusals = refused === 0 ? '' : `, ${count(refused)} refused`
  return `${plural(records, 'record')} written${refusals}, ${bytes(progress.bytes)} in ${duration(elapsedMs)} (${rates(progress)})`
}

function rates({ records, bytes: done, elapsedMs }: Progress): string {
  const seconds = Math.max(elapsedMs, 1) / 1000
  return `${count(records / seconds)}/s  ${bytes(done / seconds)}/s`
}

const bar = (part: number, width: number): string => {
  const full = Math.round(part * width)
  return `${'█'.repeat(full)}${'░'.repeat(width - full)}`
}
