/**
 * Moves of replicas, as Kafka has them: while one goes on, `replicas` is the target followed by those on their way out. In come a tablet's places as they are and
 * as they shall be, out go those in between. Who decides a move writes its beginning; the tablet's leader ends it, when all that is new is in sync.
 */
/** A tablet's places: as a broker knows them, or as they stand in a TabletSlice. */
type Places<Id extends number = number> = {
  readonly replicas: readonly Id[]
  readonly adding: readonly Id[]
  readonly removing: readonly Id[]
}

export const isMoving = ({ adding, removing }: Places): boolean => adding.length > 0 || removing.length > 0

/** Where the replicas shall be in the end, the preferred leader first. */
export const targetOf = <Id extends number>({ replicas, removing }: Places<Id>): readonly Id[] =>
  removing.length === 0 ? replicas : replicas.filter(id => !removing.includes(id))

/** As many replicas as the tablet had before or shall have, whichever is less: what is still being copied must not count as missing. */
export const countedReplicas = ({ replicas, adding, removing }: Places): number =>
  replicas.length - Math.max(adding.length, removing.length)

/** The places with which the replicas begin to move to `target`; undefined when that is what is under way, or there. */
export function movedTo<Id extends number>(now: Places<Id>, target: readonly Id[]): Places<Id> | undefined {
  const removing = now.replicas.filter(id => !target.includes(id))
  const adding = target.filter(id => !now.replicas.includes(id) || now.adding.includes(id))
  const to = { replicas: [...target, ...removing], adding, removing }
  const same = (['replicas', 'adding', 'removing'] as const).every(
    name => now[name].length === to[name].length && now[name].every((id, at) => id === to[name][at]),
  )
  return same ? undefined : to
}

/** The places with which a move is taken back: what was new is on its way out. Undefined when nothing moves. */
export const movedBack = <Id extends number>(now: Places<Id>): Places<Id> | undefined =>
  isMoving(now)
    ? movedTo(
        now,
        now.replicas.filter(id => !now.adding.includes(id)),
      )
    : undefined
