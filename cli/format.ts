import { printable } from './printable.ts'

/** Columns side by side, two spaces apart, the first row being the heads; numbers stand right. Ends with a newline. */
export function table(cells: readonly (readonly (string | number)[])[]): string {
  const rows = cells.map(row => row.map(cell => (typeof cell === 'string' ? printable(cell) : cell)))
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, String(cell).length)
    }
  }
  const right = (rows[1] ?? []).map(cell => typeof cell === 'number')
  const line = (row: readonly (string | number)[]) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return right[column] === true ? String(cell).padStart(width) : String(cell).padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}

/** `text` in at most `charsMax` characters, its middle left out. */
export function shortened(text: string, charsMax: number): string {
  const characters = Array.from(text)
  if (characters.length <= charsMax) return text
  const head = Math.ceil((charsMax - 1) / 2)
  const tail = charsMax - 1 - head
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - tail).join('')}`
}

/** 1234567 as 1,234,567. */
export const count = (n: number): string => Math.round(n).toLocaleString('en-US')

/** `3 records`, `1 record`. */
export const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

/** 1500 as 1.5 kB: decimal units, three digits. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = n
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** 63_500 as 1:04; below a minute 3.5 s. */
export function duration(ms: number): string {
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

const two = (n: number): string => String(n).padStart(2, '0')
