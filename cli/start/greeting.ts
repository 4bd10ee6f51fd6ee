/** Where a broker can be reached, each `host:port`. */
export type Doors = { readonly kafka: readonly string[]; readonly http: readonly string[] }

/** What a person reads when the broker is ready: its doors, and commands to paste into another terminal. */
export function greeting(doors: Doors, dataDirectory: string, command: string): string {
  const kafka = reachable(doors.kafka)
  const http = reachable(doors.http)
  const lines = ['', 'Stele is ready. Stop it with Ctrl-C.', '']
  if (kafka !== undefined) lines.push(`  Kafka  ${kafka}${everywhere(doors.kafka)}`)
  if (http !== undefined)
    lines.push(`  HTTP   http://${http}${everywhere(doors.http)}   API: http://${http}/docs`)
  lines.push(`  data   ${dataDirectory}`, '', 'Try, in another terminal:', '')
  if (kafka !== undefined) {
    lines.push(`  echo hello | kcat -b ${kafka} -P -t greetings`, `  kcat -b ${kafka} -C -t greetings -e`)
  }
  if (http !== undefined) {
    lines.push(
      `  curl -d hello 'http://${http}/append?topic=greetings'`,
      `  ${command} consume greetings${server(http)}`,
    )
  }
  return `${lines.join('\n')}\n\n`
}

/** The same for programs: one line of JSON. */
export function readyLine(doors: Doors, pid: number): string {
  const http = reachable(doors.http)
  const ready = {
    ready: true,
    kafka: reachable(doors.kafka) ?? null,
    http: http === undefined ? null : `http://${http}`,
    pid,
  }
  return `${JSON.stringify(ready)}\n`
}

export type RunningMember = {
  readonly id: number
  readonly pid: number | undefined
  readonly doors: Doors
}

/** What a person reads when several brokers are ready: their addresses, and how to see them fail over. */
export function clusterGreeting(
  members: readonly RunningMember[],
  dataDirectory: string,
  command: string,
): string {
  const count = members.length === 1 ? '1 broker' : `${members.length} brokers`
  const lines = ['', `Stele is ready: ${count}. Stop with Ctrl-C.`, '']
  for (const { id, pid, doors } of members) {
    const kafka = reachable(doors.kafka)
    const http = reachable(doors.http)
    const parts = [
      `broker ${id}`,
      kafka && `Kafka ${kafka}${everywhere(doors.kafka)}`,
      http && `HTTP http://${http}${everywhere(doors.http)}`,
      `process ${pid ?? '-'}`,
    ]
    lines.push(`  ${parts.filter(part => part !== undefined).join('   ')}`)
  }
  lines.push('', `  data ${dataDirectory}`, '', 'Try, in another terminal:', '')
  const kafka = members.flatMap(({ doors }) => reachable(doors.kafka) ?? []).join(',')
  const http = reachable(members.at(-1)?.doors.http ?? [])
  if (kafka !== '') {
    lines.push(`  echo hello | kcat -b ${kafka} -P -t greetings`, `  kcat -b ${kafka} -C -t greetings`)
  }
  if (http !== undefined) {
    if (kafka === '') lines.push(`  curl -d hello 'http://${http}/append?topic=greetings'`)
    lines.push(`  ${command} topic describe greetings --server http://${http}`)
  }
  const [first] = members
  if (first?.pid !== undefined && members.length > 1)
    lines.push(`  kill -9 ${first.pid}   # broker ${first.id}; the others go on, and it comes back`)
  return `${lines.join('\n')}\n\n`
}

/** The same for programs; `kafka` is all of them, as clients take it. */
export function clusterReadyLine(members: readonly RunningMember[], pid: number): string {
  const brokers = members.map(({ id, pid: own, doors }) => {
    const http = reachable(doors.http)
    return {
      id,
      kafka: reachable(doors.kafka) ?? null,
      http: http === undefined ? null : `http://${http}`,
      pid: own ?? null,
    }
  })
  const kafka = brokers.flatMap(broker => broker.kafka ?? []).join(',')
  return `${JSON.stringify({ ready: true, kafka: kafka || null, http: brokers[0]?.http ?? null, pid, brokers })}\n`
}

const everyInterface = /^(?:0\.0\.0\.0|\[::\]):/

/** The address that a program on this machine can use; undefined when the door is shut. */
function reachable(addresses: readonly string[]): string | undefined {
  const [first] = addresses
  if (first === undefined) return undefined
  const bothLoopbacks = first.startsWith('127.0.0.1:') && addresses.length > 1
  return bothLoopbacks || everyInterface.test(first) ? `localhost:${first.split(':').at(-1)}` : first
}

const everywhere = (addresses: readonly string[]): string =>
  addresses.some(address => everyInterface.test(address)) ? ' (on every interface)' : ''

/** Only needed where the client commands would not look by themselves. */
const server = (http: string): string => (http === 'localhost:8080' ? '' : ` --server http://${http}`)
