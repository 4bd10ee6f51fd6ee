import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { podAccess } from './access.ts'
import { kubeConfigAccess } from './kube-config.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stele-access-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const write = (name: string, content: string): string => {
  writeFileSync(join(directory, name), content)
  return join(directory, name)
}

describe('access of a pod', () => {
  const environment = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }

  test('is by what Kubernetes mounts', async () => {
    write('token', 'first\n')
    write('ca.crt', 'authority')
    write('namespace', 'events')
    const access = podAccess(environment, directory)
    expect([access?.server, access?.namespace]).toEqual(['https://10.0.0.1:6443', 'events'])
    expect((await access?.credentials())?.headers).toEqual({ authorization: 'Bearer first' })
    expect(podAccess({ ...environment, KUBERNETES_SERVICE_HOST: 'fd00::1' }, directory)?.server).toBe(
      'https://[fd00::1]:6443',
    )
  })

  test('a token that was renewed is read when the old one is not accepted; connections stay', async () => {
    write('token', 'first')
    write('ca.crt', 'authority')
    const access = podAccess(environment, directory) ?? expect.fail('no access')
    const first = await access.credentials()
    write('token', 'second')
    expect(await access.credentials()).toBe(first)
    access.refresh()
    const second = await access.credentials()
    expect(second.headers).toEqual({ authorization: 'Bearer second' })
    expect(second.agent).toBe(first.agent)
    write('ca.crt', 'another')
    access.refresh()
    expect((await access.credentials()).agent).not.toBe(first.agent)
  })

  test('is none outside of a pod, and an error when files are missing in it', async () => {
    expect(podAccess({}, directory)).toBeUndefined()
    expect(podAccess(environment, directory)).toBeUndefined()
    write('token', 'first')
    await expect(podAccess(environment, directory)?.credentials()).rejects.toThrow('ca.crt')
  })
})

describe('access by a kubeconfig', () => {
  const config = (server: string): string =>
    write(
      'config',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server } }],
        users: [
          { name: 'one', user: { token: 'token of one' } },
          { name: 'two', user: { username: 'two', password: 'secret' } },
        ],
        contexts: [
          { name: 'first', context: { cluster: 'c', user: 'one', namespace: 'n' } },
          { name: 'second', context: { cluster: 'c', user: 'two' } },
        ],
        'current-context': 'first',
      }),
    )

  test('is that of the current context, or of another', async () => {
    const file = config('https://example.com:6443/')
    const first = kubeConfigAccess({ file })
    expect([first.server, first.namespace]).toEqual(['https://example.com:6443', 'n'])
    const credentials = await first.credentials()
    expect(credentials.headers).toEqual({ Authorization: 'Bearer token of one' })
    expect((await first.credentials()).agent, 'connections are shared').toBe(credentials.agent)
    const second = kubeConfigAccess({ file, context: 'second' })
    expect(second.namespace).toBe('default')
    expect((await second.credentials()).headers).toEqual({
      authorization: `Basic ${Buffer.from('two:secret').toString('base64')}`,
    })
  })

  test('without TLS, as from `kubectl proxy`', async () => {
    const access = kubeConfigAccess({ file: config('http://127.0.0.1:8001') })
    expect((await access.credentials()).headers).toEqual({})
  })

  test('is an error without such a context', () => {
    const file = config('https://example.com')
    expect(() => kubeConfigAccess({ file, context: 'third' })).toThrow('context third')
    expect(() => kubeConfigAccess({ file: join(directory, 'none') })).toThrow('ENOENT')
  })
})
