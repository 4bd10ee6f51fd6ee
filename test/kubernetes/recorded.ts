// Clients whose record the checker of test/sim judges: two idempotent producers of different libraries that write with acks=all, and a consumer
// that is assigned all partitions. Each tells what it was told, and when; none of them is told to forget an error.
import { createInterface } from 'node:readline'
import { setTimeout as passed } from 'node:timers/promises'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import type { Told } from '../sim/checker.ts'
import { spawnPiped } from '../wire/processes.ts'

/** What clients wait for an answer: those of whom no more is heard are given up soon, so that what is seen is the cluster's pause. */
const answerMs = 3_000
/** With more than so many under way it sends slowly. */
const ahead = 100

/** When one producer's records of one partition were acknowledged. */
class Acknowledged {
  readonly #atMs: number[] = [Date.now()]

  get count(): number {
    return this.#atMs.length - 1
  }

  note(): void {
    this.#atMs.push(Date.now())
  }

  /** The longest time without an acknowledgement that ended after `sinceMs`; one that goes on counts. */
  pauseSince(sinceMs: number): number {
    let longest = Date.now() - (this.#atMs.at(-1) ?? 0)
    for (let i = this.#atMs.length - 1; i > 0; i--) {
      const [before = 0, at = 0] = [this.#atMs[i - 1], this.#atMs[i]]
      if (at < sinceMs) break
      longest = Math.max(longest, at - before)
    }
    return longest
  }
}

export type Load = {
  readonly history: readonly Told[]
  /** What a client gave up on. */
  readonly errors: readonly string[]
  /** Answers whether, since this call, each producer has written to each partition, and the consumer has read of it. */
  sinceNow(): () => boolean
  /** The longest pause of acks=all writes to each partition, in ms, by the name of the client. */
  pausesSince(sinceMs: number): Readonly<Record<string, readonly number[]>>
  /** Ends the producers when all that they sent is acknowledged, and the consumer when it has read up to `ends`. */
  stop(ends: () => Promise<readonly number[]>): Promise<void>
}

export async function startLoad(kafka: string, topic: string, partitions: number): Promise<Load> {
  const history: Told[] = []
  const errors: string[] = []
  const tell = (told: Told): void => void history.push(told)
  const fail = (error: string): void => void errors.push(error)
  const context = { kafka, topic, partitions, tell, fail }
  const producers = { librdkafka: librdkafka(context), kafkajs: await kafkajs(context) }
  const reader = read(context)
  const lanes = Object.values(producers).flatMap(({ acknowledged }) => acknowledged)
  const counts = (): number[] => [...lanes.map(({ count }) => count), ...reader.next]
  return {
    history,
    errors,
    sinceNow() {
      const before = counts()
      return () => counts().every((count, n) => count > (before[n] ?? 0) + 5)
    },
    pausesSince(sinceMs) {
      const longest = ({ acknowledged }: Writer): number[] =>
        acknowledged.map(lane => lane.pauseSince(sinceMs))
      return Object.fromEntries(Object.entries(producers).map(([name, writer]) => [name, longest(writer)]))
    },
    async stop(ends) {
      await Promise.all(Object.values(producers).map(writer => writer.stop()))
      const all = await ends()
      while (errors.length === 0 && !all.every((end, partition) => (reader.next[partition] ?? 0) >= end))
        await passed(50)
      reader.stop()
    },
  }
}

type Context = {
  readonly kafka: string
  readonly topic: string
  readonly partitions: number
  readonly tell: (told: Told) => void
  readonly fail: (error: string) => void
}

type Writer = {
  /** By partition. */
  readonly acknowledged: readonly Acknowledged[]
  stop(): Promise<void>
}

/** As the brokers' files name it to `holdings`. */
export const tabletName = (topic: string, partition: number): string => `${topic}/${partition}`

const partitionsOf = ({ partitions }: Context): number[] => Array.from({ length: partitions }, (_, n) => n)

/** One call at a time to each partition: of calls to several, kafkajs may lose a part by itself (docs/clients.md). */
async function kafkajs(context: Context): Promise<Writer> {
  const { kafka, topic } = context
  const client = new Kafka({
    clientId: 'recorded',
    brokers: kafka.split(','),
    logLevel: logLevel.NOTHING,
    requestTimeout: answerMs,
    retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: Number.MAX_SAFE_INTEGER },
  })
  // It sends to a silent leader again and again, and asks who leads only when this is over.
  const producer = client.producer({ idempotent: true, metadataMaxAge: answerMs })
  await producer.connect()
  const sending = { on: true }
  const acknowledged = partitionsOf(context).map(() => new Acknowledged())
  const lanes = acknowledged.map((lane, partition) =>
    keepSending({ producer, lane, partition, sending, context }),
  )
  return {
    acknowledged,
    async stop() {
      sending.on = false
      await Promise.all(lanes)
      await producer.disconnect()
    },
  }

  async function keepSending({ producer, lane, partition }: Lane): Promise<void> {
    for (let n = 0; sending.on; n++) {
      const values = Array.from({ length: 1 + (n % 3) }, (_, i) => `kafkajs-${partition}-${n}#${i}`)
      try {
        const [answer] = await producer.send({
          topic,
          acks: -1,
          timeout: answerMs,
          messages: values.map(value => ({ value, partition })),
        })
        const tablet = tabletName(topic, partition)
        context.tell({ kind: 'acknowledged', tablet, baseOffset: Number(answer?.baseOffset), values })
        lane.note()
      } catch (error) {
        context.fail(`kafkajs: ${values[0]} to ${partition}: ${String(error)}`)
      }
      await passed(10)
    }
  }
}

type Lane = {
  readonly producer: Producer
  readonly lane: Acknowledged
  readonly partition: number
  readonly sending: { readonly on: boolean }
  readonly context: Context
}

const librdkafkaSettings = [
  // Otherwise kcat ends itself when each broker has ended once and it has not needed them again.
  '-E',
  `-Xsocket.timeout.ms=${answerMs}`,
  // What is sent to the port of a broker whose pod is not there is lost: by itself it waits 30 s for such a connection.
  '-Xsocket.connection.setup.timeout.ms=1000',
  // Otherwise it stays away from a broker that was killed for up to 10 s.
  '-Xreconnect.backoff.max.ms=250',
]

/** A process for each partition: what it says of deliveries is then in the order in which it was sent. */
function librdkafka(context: Context): Writer {
  const writers = partitionsOf(context).map(partition => kcatWriter(context, partition))
  return {
    acknowledged: writers.map(({ acknowledged }) => acknowledged),
    stop: async () => void (await Promise.all(writers.map(writer => writer.stop()))),
  }
}

function kcatWriter({ kafka, topic, tell, fail }: Context, partition: number) {
  const child = spawnPiped('kcat', [
    '-P',
    '-vvv',
    `-b${kafka}`,
    `-t${topic}`,
    `-p${partition}`,
    '-Xenable.idempotence=true',
    '-Xlinger.ms=0',
    `-Xtopic.request.timeout.ms=${answerMs}`,
    ...librdkafkaSettings,
  ])
  const acknowledged = new Acknowledged()
  const name = (n: number): string => `librdkafka-${partition}-${n}`
  let written = 0
  let turns = 0
  const feed = setInterval(() => {
    // It reads 1,024 bytes at a time, and reports what was acknowledged only when it has read some.
    if (written < acknowledged.count + ahead || turns++ % 10 === 0)
      child.stdin.write(`${name(written++).padEnd(1_023, '.')}\n`)
  }, 10)
  child.stdin.on('error', () => undefined)
  createInterface(child.stderr).on('line', line => {
    const delivered = /Message delivered to partition \d+ \(offset (-?\d+)\)/.exec(line)
    if (delivered !== null) {
      const values = [name(acknowledged.count)]
      tell({
        kind: 'acknowledged',
        tablet: tabletName(topic, partition),
        baseOffset: Number(delivered[1]),
        values,
      })
      acknowledged.note()
    } else if (/Delivery failed|ERROR|FATAL/i.test(line) && !passing.test(line)) fail(`librdkafka: ${line}`)
  })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  void ended.then(code => {
    if (code !== 0) fail(`the librdkafka producer of partition ${partition} ended with ${code}`)
  })
  return {
    acknowledged,
    async stop() {
      clearInterval(feed)
      child.stdin.end()
      await ended
      if (acknowledged.count !== written)
        fail(
          `librdkafka: of ${written} records of partition ${partition} ${acknowledged.count} were acknowledged`,
        )
    },
  }
}

/** What librdkafka tells of connections; it tries again by itself. */
const passing =
  /_TRANSPORT|_RESOLVE|_TIMED_OUT|_ALL_BROKERS_DOWN|REQTMOUT|FAIL|Local: (Broker|All|Timed|Host)/

/** Reads on from the beginning, as one that is assigned its partitions. */
function read(context: Context) {
  const { kafka, topic, tell, fail } = context
  const child = spawnPiped('kcat', [
    '-C',
    '-q',
    '-u',
    `-b${kafka}`,
    `-t${topic}`,
    '-obeginning',
    '-f%p %o %s\\n',
    // Who finds its offset gone is to say so.
    '-Xtopic.auto.offset.reset=error',
    ...librdkafkaSettings,
  ])
  const next = partitionsOf(context).map(() => 0)
  const running = { on: true }
  createInterface(child.stdout).on('line', line => {
    const [partition = '', offset = '', value = ''] = line.split(' ')
    const records = [{ offset: Number(offset), value: value.replace(/\.*$/, '') }]
    tell({
      kind: 'read',
      tablet: tabletName(topic, Number(partition)),
      reader: `librdkafka ${partition}`,
      records,
    })
    next[Number(partition)] = Number(offset) + 1
  })
  createInterface(child.stderr).on('line', line => {
    if (!passing.test(line)) fail(`the consumer: ${line}`)
  })
  child.once('close', code => {
    if (running.on) fail(`the consumer ended with ${code}`)
  })
  return {
    next: next as readonly number[],
    stop() {
      running.on = false
      child.kill('SIGTERM')
    },
  }
}
