export type Form = { readonly json: boolean; readonly keySeparator: string | undefined }

/** A record as the HTTP API writes it. */
type RecordJson = {
  readonly key: string | null
  readonly value: string | null
  readonly encoding: 'text' | 'base64'
}

/**
 * What to print of a page of NDJSON records, at most `recordsMax` of them: the lines themselves as JSON; otherwise values,
 * byte for byte, each with a newline, behind their keys when there is a separator. A missing key or value prints nothing.
 */
export function printed(page: Buffer, form: Form, recordsMax: number): { output: Buffer; records: number } {
  if (page.length === 0 || recordsMax === 0) return { output: Buffer.alloc(0), records: 0 }
  const text = page.toString()
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n').slice(0, recordsMax)
  if (form.json) return { output: Buffer.from(`${lines.join('\n')}\n`), records: lines.length }
  const pieces: Buffer[] = []
  // Neighbouring texts become one piece; most pages are one.
  let sofar = ''
  for (const line of lines) {
    const record = JSON.parse(line) as RecordJson
    const separator = form.keySeparator ?? ''
    if (record.encoding === 'text') {
      const key = form.keySeparator === undefined ? '' : `${record.key ?? ''}${separator}`
      sofar += `${key}${record.value ?? ''}\n`
    } else {
      pieces.push(Buffer.from(sofar))
      if (form.keySeparator !== undefined) pieces.push(decoded(record.key), Buffer.from(separator))
      pieces.push(decoded(record.value))
      sofar = '\n'
    }
  }
  const last = Buffer.from(sofar)
  return { output: pieces.length === 0 ? last : Buffer.concat([...pieces, last]), records: lines.length }
}

const decoded = (base64: string | null): Buffer => Buffer.from(base64 ?? '', 'base64')
