/** What ships is a bundle, and people start it on a terminal: both make other code run than the tests beside the source. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

test('the bundle starts on a terminal, with lines a person can read, and stops when the terminal goes', async () => {
  execFileSync(process.execPath, ['build.ts'], { cwd: root, stdio: 'ignore' })
  const data = mkdtempSync(join(tmpdir(), 'stele-shipped-'))
  // exec: a shell that stays in between is interrupted as well, and its exit code is the one that is seen.
  const command = `exec ${process.execPath} ${join(root, 'dist', 'stele.mjs')} start --data ${data} --kafka 127.0.0.1:0 --http 127.0.0.1:0`
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] })
  let shown = ''
  const ended = new Promise<number | null>(resolve => terminal.on('close', resolve))
  try {
    const ready = new Promise<void>(resolve => {
      terminal.stdout.on('data', (chunk: Buffer) => {
        shown += String(chunk)
        if (shown.includes('Stele is ready') && shown.includes('broker serves')) resolve()
      })
    })
    await Promise.race([ready, ended])
    expect(shown).toContain('Stele is ready')
    expect(shown).toContain('the Kafka door is open')
    expect(shown).not.toContain('"msg"')
    terminal.stdin.write('\u0003')
    expect(await ended).toBe(0)
    expect(shown).toContain('broker stopped')
  } finally {
    terminal.kill()
    await ended
    rmSync(data, { recursive: true, force: true })
  }
})
