import type { RunningPeer } from '../peer.ts'

/** What `act`, which moves `bytes`, takes of the processors on the server's side, in seconds a gigabyte. */
export async function withCost<Answer>(
  running: RunningPeer,
  bytes: number,
  act: () => Promise<Answer>,
): Promise<{ answer: Answer; cpuPerGigabyte: number }> {
  const before = running.server.cpuSeconds()
  const answer = await act()
  return { answer, cpuPerGigabyte: (running.server.cpuSeconds() - before) / (bytes / 1e9) }
}
