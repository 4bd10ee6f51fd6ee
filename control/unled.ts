/** Why a tablet has no leader, in words: in comes what replicas have said of themselves in its record, out goes who was heard, and who is waited for. */

type Run = { readonly broker: number; readonly incarnation: number }
type Said = Run & { readonly end: number; readonly trouble?: 'lost' | 'offline' }
type Tablet = {
  readonly replicas: readonly number[]
  readonly isr: readonly Run[]
  readonly found?: readonly Said[]
  readonly unclean?: boolean
}

/** Undefined as long as nobody has said anything. The same for all tablets of which the same brokers were heard, so that they can be told together. */
export function unledText({ replicas, isr, found = [], unclean }: Tablet): string | undefined {
  if (found.length === 0) return undefined
  const inSync = new Set(isr.map(({ broker }) => broker))
  const of = (trouble: Said['trouble']): number[] =>
    found
      .filter(one => one.trouble === trouble)
      .map(({ broker }) => broker)
      .toSorted((a, b) => a - b)
  const unheard = replicas.filter(id => !found.some(({ broker }) => broker === id)).toSorted((a, b) => a - b)
  const waited = unheard.filter(id => inSync.has(id))
  const parts = [
    named(of(undefined), 'may not hold all that was acknowledged'),
    named(of('lost'), 'lost the records'),
    named(of('offline'), 'cannot serve it'),
    named(waited, 'was in sync and has not been heard'),
    named(
      unheard.filter(id => !inSync.has(id)),
      'has not been heard',
    ),
  ]
  const asked = unclean === true ? ['an election out of sync was asked for'] : []
  return ['nobody who holds all of it can lead', ...parts.filter(part => part !== undefined), ...asked].join(
    ', ',
  )
}

const named = (ids: readonly number[], what: string): string | undefined =>
  ids.length === 0 ? undefined : `${ids.map(id => `broker ${id}`).join(' and ')} ${what}`
