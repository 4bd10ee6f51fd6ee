/** Where a broker can be reached, each `host:port`. */
export type Doors = { readonly kafka: readonly string[]; readonly http: readonly string[] }

/** What a person reads when the broker is ready: its doors, and commands to paste into another terminal. */
export function greeting(doors: Doors, dataDirectory: string): string {
  const [kafka] = doors.kafka
  const [http] = doors.http
  const lines = ['', 'Stele is ready. Stop it with Ctrl-C.', '']
  for (const address of doors.kafka) lines.push(`  Kafka  ${address}`)
  for (const address of doors.http)
    lines.push(`  HTTP   http://${address}   (its description: http://${address}/docs)`)
  lines.push(`  data   ${dataDirectory}`, '', 'Try, in another terminal:', '')
  if (kafka !== undefined) {
    lines.push(`  echo hello | kcat -b ${kafka} -P -t greetings`, `  kcat -b ${kafka} -C -t greetings -e`)
  }
  if (http !== undefined) {
    lines.push(`  curl -d hello 'http://${http}/append?topic=greetings'`, `  ${consume(http)}`)
  }
  return `${lines.join('\n')}\n\n`
}

const consume = (http: string): string => {
  const server = http === 'localhost:8080' ? '' : ` --server http://${http}`
  return `npm run -s stele -- consume greetings${server}`
}

/** The same for programs: one line of JSON. */
export const readyLine = (doors: Doors, pid: number): string =>
  `${JSON.stringify({
    ready: true,
    kafka: doors.kafka[0] ?? null,
    http: doors.http[0] === undefined ? null : `http://${doors.http[0]}`,
    pid,
  })}\n`
