/**
 * One write at a time until SIGTERM. For each a line: its number, how many milliseconds it took, and by how many of them the machine was late to run this process meanwhile; or the
 * number, `failed` and why.
 */
export async function write(send: (partition: number, value: string) => Promise<unknown>): Promise<void> {
  const ended = new AbortController()
  process.once('SIGTERM', () => ended.abort())
  const late = lateness()
  for (let number = 0; !ended.signal.aborted; number++) {
    const sentMs = performance.now()
    late.worstMs = 0
    try {
      await send(number % 3, String(number))
      const tookMs = performance.now() - sentMs
      process.stdout.write(`${number} ${tookMs.toFixed(1)} ${late.worstMs.toFixed(1)}\n`)
    } catch (error) {
      process.stdout.write(`${number} failed ${(error as Error).message}\n`)
    }
    // Some hundred a second are enough, and leave the machine to the brokers.
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

const tickMs = 10

function lateness(): { worstMs: number } {
  const late = { worstMs: 0 }
  let beforeMs = performance.now()
  setInterval(() => {
    const nowMs = performance.now()
    late.worstMs = Math.max(late.worstMs, nowMs - beforeMs - tickMs)
    beforeMs = nowMs
  }, tickMs).unref()
  return late
}
