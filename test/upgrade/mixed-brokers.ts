/** Three brokers whose parent starts each with the program it is told (`parent.ts`): in goes a data directory, out come addresses and ends. */
import { launch, type Running } from '../wire/processes.ts'
import { until } from '../wire/until.ts'
import type { Build } from './builds.ts'

type Told = { readonly ready?: number; readonly ended?: number; readonly code?: number | null } & Partial<
  Record<'kafka' | 'http', string>
>

type Partition = { readonly leader: number | null; readonly replicas: number[]; readonly isr: number[] }

export class MixedBrokers {
  readonly parent: Running

  constructor(data: string, { parent }: Build) {
    this.parent = launch(process.execPath, [parent, data])
  }

  get kafka(): string {
    return [0, 1, 2].map(id => this.#last(id)?.kafka ?? '').join(',')
  }

  get http(): readonly string[] {
    return [0, 1, 2].map(id => `http://${this.#last(id)?.http}`)
  }

  log(): string {
    return this.parent.stdout() + this.parent.stderr()
  }

  async start(ids: readonly number[], { stele }: Build): Promise<void> {
    const before = this.#told().length
    for (const id of ids) this.#say(`start ${id} ${stele}`)
    await this.parent.printed(() => ids.every(id => this.#told(before).some(({ ready }) => ready === id)))
  }

  /** How many milliseconds each stop of the broker took to hand over, as its log says. */
  handOvers(id: number): number[] {
    return this.parent
      .stderr()
      .split('\n')
      .filter(line => line.includes('"msg":"handed over what others can take"'))
      .map(line => JSON.parse(line) as { broker: number; tookMs: number })
      .filter(({ broker }) => broker === id)
      .map(({ tookMs }) => tookMs)
  }

  /** Answers the exit code. */
  async stop(id: number): Promise<number | null> {
    const before = this.#told().length
    this.#say(`stop ${id}`)
    const end = (): Told | undefined => this.#told(before).find(({ ended }) => ended === id)
    await this.parent.printed(() => end() !== undefined)
    return end()?.code ?? null
  }

  /** All brokers in order, then their parent. */
  async end(): Promise<void> {
    const codes = await Promise.all([0, 1, 2].map(id => this.stop(id)))
    this.#say('end')
    const { code } = await this.parent.ended
    if (codes.some(one => one !== 0) || code !== 0) throw new Error(`ended with ${codes.join()} and ${code}`)
  }

  /** Waits until all of the topics' partitions are in sync, and led by whom they should be. */
  async settled(topics: readonly string[]): Promise<void> {
    for (const topic of topics)
      await until(async () => {
        const all = await this.#partitions(topic)
        return all.length > 0 && all.every(one => one.isr.length === 3 && one.leader === one.replicas[0])
      })
  }

  async #partitions(topic: string): Promise<readonly Partition[]> {
    for (const http of this.http) {
      try {
        const answer = await fetch(`${http}/v1/topics/${topic}`, { signal: AbortSignal.timeout(2_000) })
        if (answer.ok) return ((await answer.json()) as { partitions: Partition[] }).partitions
      } catch {
        // It is the one that is away.
      }
    }
    return []
  }

  #say(command: string): void {
    this.parent.stdin.write(`${command}\n`)
  }

  #last(id: number): Told | undefined {
    return this.#told().findLast(({ ready }) => ready === id)
  }

  #told(from = 0): readonly Told[] {
    return this.parent
      .stdout()
      .split('\n')
      .filter(line => line.startsWith('{"ready":') || line.startsWith('{"ended":'))
      .slice(from)
      .map(line => JSON.parse(line) as Told)
  }
}
