import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { kill, record, recorded } from './rig/processes.ts'
import { until } from './rig/until.ts'

test('a process has not ended while one of its threads has not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'stele-processes-'))
  const file = join(directory, 'pid')
  const leavesThread =
    'import ctypes, threading; threading.Thread(target=threading.Event().wait).start(); ctypes.CDLL(None).pthread_exit(None)'
  const { pid = 0 } = spawn('python3', ['-c', leavesThread])
  try {
    await until('the first thread to end', async () =>
      (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(' Z '),
    )
    await record(file, pid)
    expect(await recorded(file)).toBe(pid)
    await kill(file)
    expect(await recorded(file)).toBeUndefined()
  } finally {
    await rm(directory, { recursive: true })
  }
})
