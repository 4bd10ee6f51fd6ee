import { quantityOf } from '../resources/quantity.ts'

type Entries = Readonly<Record<string, unknown>>

/**
 * Whether all that is wanted stands in `live`. What the API server adds does not matter, nor how it writes quantities, nor that it
 * drops what is empty; of lists with names or keys only the wanted members count, other lists must be the same.
 */
export function covers(live: unknown, wanted: unknown): boolean {
  if (live === undefined || live === null) return isEmpty(wanted)
  if (Array.isArray(wanted)) return Array.isArray(live) && coversList(live, wanted)
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof live !== 'object' || Array.isArray(live)) return false
    return Object.entries(wanted).every(([name, value]) => covers((live as Entries)[name], value))
  }
  return live === wanted || isSameQuantity(live, wanted)
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true
  return typeof value === 'object' && Object.values(value).every(isEmpty)
}

function coversList(live: readonly unknown[], wanted: readonly unknown[]): boolean {
  const name = keyIn(wanted)
  if (name !== undefined) {
    const byKey = new Map(live.map(item => [(item as Entries)[name], item]))
    return wanted.every(item => covers(byKey.get((item as Entries)[name]), item))
  }
  return live.length === wanted.length && wanted.every((item, at) => covers(live[at], item))
}

/**
 * The field by which server-side apply tells the members of a list apart, of the lists that we apply. What names its kind (subjects of
 * a RoleBinding) is a list as a whole.
 */
function keyIn(items: readonly unknown[]): string | undefined {
  const all = (key: string): boolean =>
    items.length > 0 && items.every(item => typeof item === 'object' && item !== null && key in item)
  if (all('uid')) return 'uid'
  return all('kind') || !all('name') ? undefined : 'name'
}

function isSameQuantity(a: unknown, b: unknown): boolean {
  const [one, other] = [a, b].map(value =>
    typeof value === 'string' || typeof value === 'number' ? quantityOf(value) : undefined,
  )
  return one !== undefined && one === other
}
