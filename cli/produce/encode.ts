import { isUtf8 } from 'node:buffer'
import { linesOf } from './lines.ts'

/** What every record of one run has in common. */
export type Shape = {
  readonly key?: string
  readonly keySeparator?: string
  readonly header?: readonly (readonly [string, string])[]
  readonly partition?: number
}

export type Encoded = { readonly ndjson: string; readonly lines: number }

/**
 * Turns blocks of whole lines into NDJSON records of the HTTP API. Lines that are UTF-8 go as text; a line that is not goes
 * as base64, so that every byte arrives.
 */
export function encoder(shape: Shape): (block: Buffer) => Encoded {
  const text = tails(shape, value => value)
  const base64 = tails(shape, value => Buffer.from(value).toString('base64'))
  const separator = shape.keySeparator
  const separatorBytes = separator === undefined ? undefined : Buffer.from(separator)

  const textLine = (line: string): string => {
    const at = separator === undefined ? -1 : line.indexOf(separator)
    if (separator === undefined || at === -1) return `{"value":${JSON.stringify(line)}${text}`
    const value = line.slice(at + separator.length)
    return `{"key":${JSON.stringify(line.slice(0, at))},"value":${JSON.stringify(value)}${text}`
  }
  const base64Line = (line: Buffer): string => {
    const at = separatorBytes === undefined ? -1 : line.indexOf(separatorBytes)
    const value = separatorBytes === undefined || at === -1 ? line : line.subarray(at + separatorBytes.length)
    const key = at === -1 ? '' : `"key":"${line.toString('base64', 0, at)}",`
    return `{${key}"value":"${value.toString('base64')}","encoding":"base64"${base64}`
  }

  return block => {
    let ndjson = ''
    let lines = 0
    if (isUtf8(block)) {
      const all = block.toString()
      const rows = (all.endsWith('\n') ? all.slice(0, -1) : all).split('\n')
      for (const row of rows) ndjson += textLine(row)
      lines = rows.length
    } else {
      for (const line of linesOf(block)) {
        ndjson += isUtf8(line) ? textLine(line.toString()) : base64Line(line)
        lines += 1
      }
    }
    return { ndjson, lines }
  }
}

/** The end of every record's JSON: what all have in common, written as `encode` says. */
function tails({ key, header, partition }: Shape, encode: (value: string) => string): string {
  const common = {
    ...(key !== undefined && { key: encode(key) }),
    ...(header !== undefined && { headers: header.map(([name, value]) => [name, encode(value)]) }),
    ...(partition !== undefined && { partition }),
  }
  const json = JSON.stringify(common)
  return json === '{}' ? '}\n' : `,${json.slice(1)}\n`
}
