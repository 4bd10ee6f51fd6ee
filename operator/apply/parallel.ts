/**
 * `act` on every item, at most `atOnce` at a time, begun in order; the results in order. After a failure no further one is begun, and
 * the first failure is thrown when those under way have ended.
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const failures: unknown[] = []
  const left = items.entries()
  const lane = async (): Promise<void> => {
    for (const [at, item] of left) {
      if (failures.length > 0) return
      try {
        results[at] = await act(item)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane))
  if (failures.length > 0) throw failures[0]
  return results
}
