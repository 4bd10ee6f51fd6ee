import { expect, test } from 'vitest'
import { KIB, MIB } from '../../../base/quantities.ts'
import { FrameMemory } from './frame-memory.ts'

const took = (buffer: Buffer | undefined): Buffer => {
  if (buffer === undefined) throw new Error('memory was expected')
  return buffer
}

test('what was released is handed out again, at its size', () => {
  const memory = new FrameMemory(() => MIB)
  const first = took(memory.take(5_000, false))
  expect(first.length).toBe(8 * KIB)
  expect(took(memory.take(300 * KIB, false)).length).toBe(512 * KIB)
  memory.release(first)
  expect(memory.take(8 * KIB, false)).toBe(first)
  expect(memory.usedBytes).toBe(520 * KIB)
})

test('beyond the budget one waits, in order, until memory is given back', () => {
  const memory = new FrameMemory(() => MIB)
  const running = took(memory.take(768 * KIB, false))
  const small = [took(memory.takeAnyway(4 * KIB)), took(memory.takeAnyway(4 * KIB))]
  expect(memory.take(512 * KIB, true)).toBeUndefined()
  const granted: string[] = []
  for (const [n, held] of small.entries()) {
    memory.wait({
      bytes: 768 * KIB,
      granted: () => {
        granted.push(`${n}`)
        memory.release(held)
      },
    })
  }
  expect(granted).toEqual([])
  expect(memory.take(4 * KIB, false), 'nobody overtakes').toBeUndefined()
  memory.release(running)
  expect(granted).toEqual(['0'])
  expect(memory.waiting).toBe(1)
})

test('when all who hold memory wait, the first goes beyond the budget, so that somebody gets on', () => {
  const memory = new FrameMemory(() => 64 * KIB)
  const held = [took(memory.takeAnyway(32 * KIB)), took(memory.takeAnyway(32 * KIB))]
  const granted: Buffer[] = []
  memory.wait({ bytes: MIB, granted: buffer => granted.push(buffer) })
  expect(granted).toHaveLength(0)
  memory.wait({ bytes: MIB, granted: buffer => granted.push(buffer) })
  expect(granted).toHaveLength(1)
  memory.release(took(held[0]))
  expect(granted, 'one at a time').toHaveLength(1)
  memory.release(took(granted[0]))
  expect(granted).toHaveLength(2)
})

test('one alone may have more than the budget, and who gives up waiting makes way', () => {
  const memory = new FrameMemory(() => 64 * KIB)
  const alone = took(memory.take(MIB, false))
  expect(memory.take(64 * KIB, false)).toBeUndefined()
  const other = took(memory.takeAnyway(4 * KIB) ?? Buffer.alloc(4 * KIB))
  expect(other.length).toBe(4 * KIB)
  memory.release(alone)
  expect(memory.take(64 * KIB, false)).toBeDefined()
})

test('even bytes that are here already find no place beyond twice the budget', () => {
  const memory = new FrameMemory(() => 64 * KIB)
  expect(memory.takeAnyway(128 * KIB)).toBeDefined()
  expect(memory.takeAnyway(1)).toBeUndefined()
})
