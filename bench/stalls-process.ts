// Asks every 5 ms to be woken, and answers by how much the machine was late at worst since some moment: whatever a broker's pause is, this
// part of it has nothing to do with brokers.
const everyMs = 5
const keptMs = 120_000

let stalls: { readonly atMs: number; readonly lateMs: number }[] = []
let lastMs = performance.now()

setInterval(() => {
  const nowMs = performance.now()
  stalls.push({ atMs: Date.now(), lateMs: nowMs - lastMs - everyMs })
  lastMs = nowMs
  if (stalls.length > keptMs / everyMs) stalls = stalls.slice(stalls.length / 2)
}, everyMs)

process.on('message', (sinceMs: number) => {
  const late = stalls.filter(({ atMs }) => atMs >= sinceMs).map(({ lateMs }) => lateMs)
  process.send?.(Math.max(0, ...late))
})
process.once('disconnect', () => process.exit(0))
