import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import { tell, write } from '../output.ts'
import { printable } from '../printable.ts'
import { brokerRows } from './brokers.ts'
import { connect, type Where } from './connect.ts'
import { type Seen, see } from './seen.ts'
import { sizesOf, type Sizes } from './sizes.ts'
import { summaryOf } from './status.ts'
import { tabletRows } from './tablets.ts'
import { brokersText, type Look, statusText, tabletsTable } from './text.ts'

type Options = Where & {
  readonly cluster?: string
  readonly topic?: string
  readonly problems?: true
  readonly output?: 'wide' | 'json'
  readonly watch?: true
}

type View = {
  /** What programs get. */
  readonly data: readonly unknown[]
  readonly text: (look: Look) => string
}

type Show = (seen: readonly Seen[], options: Options, sizes: Sizes) => View

const views: Readonly<Record<'status' | 'brokers' | 'tablets', Show>> = {
  status: seen => {
    const data = seen.map(summaryOf)
    return { data, text: look => statusText(data, look) }
  },
  brokers: seen => {
    const data = seen.flatMap(brokerRows)
    return { data, text: look => brokersText(data, look) }
  },
  tablets: (seen, { topic, problems }, sizes) => {
    const all = seen.flatMap(one => tabletRows(one, sizes))
    const data = all.filter(row => topic === undefined || row.topic === topic)
    if (topic !== undefined && data.length === 0)
      throw noTopic(
        topic,
        all.map(row => row.topic),
      )
    const shown = problems ? data.filter(({ state }) => state !== 'well') : data
    return {
      data: shown,
      text: look => (shown.length === 0 ? noTablets(data.length) : tabletsTable(shown, look)),
    }
  },
}

const noTablets = (all: number): string =>
  all === 0 ? 'there are no tablets yet: make a LogTopic\n' : `all ${all} tablets are well\n`

function noTopic(topic: string, names: readonly string[]): Failure {
  const there = [...new Set(names)]
  const shown = there.length > 20 ? `${there.slice(0, 20).join(', ')}, …` : there.join(', ')
  return new Failure(
    `no topic ${topic} is placed`,
    there.length === 0
      ? '`kubectl get logtopics` says which there are, and why they are not ready.'
      : `There are: ${shown}.`,
  )
}

const everyMs = 1_000
/** Brokers are asked for all they have: that is not for every round. */
const sizesEvery = 10
const copiesEvery = 2
const noSizes: Sizes = { forbidden: false, of: () => undefined, left: () => undefined }
/** Clears the screen and begins at its top. */
const clear = '\u001B[H\u001B[2J\u001B[3J'

/** Shows one of the views, once or again and again. */
export async function look(what: keyof typeof views, options: Options): Promise<void> {
  const connection = await connect(options)
  const onTerminal = process.stdout.isTTY
  const colours = onTerminal && (process.env['NO_COLOR'] ?? '') === ''
  const draw = onTerminal && options.watch && options.output !== 'json' ? clear : ''
  const shownBy = (view: View): string =>
    options.output === 'json'
      ? `${JSON.stringify(view.data, undefined, options.watch ? undefined : 2)}\n`
      : view.text({ wide: options.output === 'wide', colours })
  const first = await see(connection, options.cluster)
  let sizes = what === 'tablets' ? await sizesOf(connection, first) : noSizes
  let shown = shownBy(views[what](first, options, sizes))
  await write(draw + shown)
  if (options.output !== 'json') tellOfGaps(first, sizes)
  for (let round = 1; options.watch; round += 1) {
    await sleep(everyMs)
    const now = await see(connection, options.cluster).then(
      async seen => {
        const every = isCopying(seen) ? copiesEvery : sizesEvery
        if (what === 'tablets' && round % every === 0) sizes = await sizesOf(connection, seen)
        return shownBy(views[what](seen, options, sizes))
      },
      (error: unknown) => lateFailure(error),
    )
    if (now !== shown) await write(draw + now)
    shown = now
  }
}

const isCopying = (seen: readonly Seen[]): boolean =>
  seen.some(({ standings }) => [...standings.values()].some(({ copies }) => copies.length > 0))

/** While somebody watches, what does not work now may work again. */
function lateFailure(error: unknown): string {
  if (error instanceof Failure) return `${printable(error.message)}\n`
  throw error
}

/** What is not shown because we may not see it. */
function tellOfGaps(seen: readonly Seen[], sizes: Sizes): void {
  const gaps = [
    seen.some(({ pods }) => pods === undefined) ? 'pods' : '',
    seen.some(({ claims }) => claims === undefined) ? 'persistentvolumeclaims' : '',
    seen.some(({ leases }) => leases === undefined) ? 'leases' : '',
  ].filter(gap => gap !== '')
  if (sizes.forbidden) tell('the bytes of tablets are not known: you have no right to get pods/proxy')
  if (gaps.length > 0) tell(`some of it is not known: you have no right to list ${gaps.join(', ')}`)
}
