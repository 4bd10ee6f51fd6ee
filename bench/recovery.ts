// How long until a broker answers: with nothing on its disk, with a full log after a clean stop, and with one that has to be
// checked because the broker was killed?
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { Broker, newDirectory } from './broker.ts'
import { fetchFrame } from './frames.ts'
import { fill } from './load.ts'
import { heading, median, optionsOf, shown, spread, table } from './measuring.ts'

const KiB = 1024
const GiB = 1024 ** 3
const topic = 'recovered'

// One segment holds it all: what was sealed is durable, and would not be checked again.
const settings = { 'log.segment.bytes': String(2 * GiB - 1), 'stele.flush': 'os' }

/** `gibibytes` (below 2) are written before the kill; nothing of them is checkpointed yet, so all of it is checked. */
export async function recoveryBench({
  rounds,
  gibibytes,
}: {
  rounds: number
  gibibytes: number
}): Promise<void> {
  const empty: number[] = []
  const killed: number[] = []
  const clean: number[] = []
  for (let round = 0; round < rounds; round++) {
    const data = newDirectory()
    empty.push(await startedMs(data, broker => broker.stop()))
    const broker = await Broker.start({ data, settings })
    await broker.createTopic(topic)
    await fill(broker, topic, 64 * KiB, gibibytes * GiB)
    await broker.kill()
    killed.push(await startedMs(data, broker => broker.stop()))
    clean.push(await startedMs(data, broker => broker.kill()))
    rmSync(data, { recursive: true })
  }
  heading('Start to the first answer')
  const perGibibyte = killed.map((ms, round) => (ms - (clean[round] ?? 0)) / 1000 / gibibytes)
  table(
    ['', 'median', 'min-max'],
    [
      ['nothing on the disk, ms', shown(median(empty)), spread(empty)],
      [`${gibibytes} GiB, stopped cleanly, ms`, shown(median(clean)), spread(clean)],
      [`${gibibytes} GiB, killed, ms`, shown(median(killed)), spread(killed)],
      ['checking after a kill, s a GiB', shown(median(perGibibyte)), spread(perGibibyte)],
    ],
  )
}

/** Starts a broker, waits for its first answer to a Kafka client, and ends it with `end`. */
async function startedMs(data: string, end: (broker: Broker) => Promise<void>): Promise<number> {
  const startMs = performance.now()
  const broker = await Broker.start({ data, settings })
  await firstAnswer(broker.kafkaPort)
  const tookMs = performance.now() - startMs
  await end(broker)
  return tookMs
}

/** Any answer will do: on an empty disk it says that there is no such topic. */
function firstAnswer(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(fetchFrame(topic, 0, 1).frame))
    socket.once('error', reject)
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
  })
}

if (import.meta.main) await recoveryBench({ rounds: optionsOf().rounds, gibibytes: 1.5 })
