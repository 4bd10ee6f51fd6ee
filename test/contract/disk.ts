import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Disk } from '../../base/world.ts'

export type DiskUnderTest = {
  readonly disk: Disk
  /** An empty directory to work in. */
  readonly directory: string
  /** Lets time pass until the promise is settled. */
  readonly finish: <Result>(promise: Promise<Result>) => Promise<Result>
  end(): void
}

/** What every `Disk` of `base/world.ts` promises to a process that lives; crashes are for the simulated one alone. */
export function diskContract(name: string, make: () => DiskUnderTest): void {
  describe(`the disk contract, ${name}`, () => {
    let under: DiskUnderTest
    beforeEach(() => {
      under = make()
    })
    afterEach(() => under.end())
    fileContract(() => under)
    namesContract(() => under)
    lockContract(() => under)
  })
}

type Under = () => DiskUnderTest

const withCode = (code: string) => expect.objectContaining({ code })

function contentOf(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  const content = Buffer.alloc(file.sizeBytes())
  expect(file.read(content, 0)).toBe(content.length)
  file.close()
  return content.toString('latin1')
}

function put(disk: Disk, path: string, content: string): void {
  const file = disk.open(path, 'create')
  file.write([Buffer.from(content, 'latin1')], 0)
  file.close()
}

function fileContract(under: Under): void {
  const create = () => under().disk.open(`${under().directory}/file`, 'create')

  test('create makes an empty file for reading and writing, and refuses one that is there', () => {
    const file = create()
    expect(file.path).toBe(`${under().directory}/file`)
    expect(file.sizeBytes()).toBe(0)
    file.write([Buffer.from('abc')], 0)
    const into = Buffer.alloc(3)
    expect(file.read(into, 0)).toBe(3)
    expect(into.toString()).toBe('abc')
    file.close()
    expect(create).toThrow(withCode('EEXIST'))
  })

  test.each(['read', 'write'] as const)('opening nothing to %s is ENOENT', mode => {
    const { disk, directory } = under()
    expect(() => disk.open(`${directory}/nothing`, mode)).toThrow(withCode('ENOENT'))
    expect(() => disk.open(`${directory}/nothing/below`, mode)).toThrow(withCode('ENOENT'))
  })

  test('a file opened to read cannot be changed', () => {
    const { disk, directory } = under()
    put(disk, `${directory}/file`, 'abc')
    const file = disk.open(`${directory}/file`, 'read')
    expect(() => file.write([Buffer.from('x')], 0)).toThrow(withCode('EBADF'))
    expect(() => file.truncate(0)).toThrow(withCode('EINVAL'))
    file.close()
    expect(contentOf(disk, `${directory}/file`)).toBe('abc')
  })

  test('a file opened to write keeps its content', () => {
    const { disk, directory } = under()
    put(disk, `${directory}/file`, 'abcdef')
    const file = disk.open(`${directory}/file`, 'write')
    file.write([Buffer.from('X')], 2)
    file.close()
    expect(contentOf(disk, `${directory}/file`)).toBe('abXdef')
  })

  test('reading ends where the file ends, and leaves the rest of the buffer alone', async () => {
    const file = create()
    file.write([Buffer.from('abcdef')], 0)
    const into = Buffer.from('..........')
    expect(file.read(into, 2)).toBe(4)
    expect(into.toString()).toBe('cdef......')
    expect(await under().finish(file.readLater(into, 5))).toBe(1)
    expect(into.toString()).toBe('fdef......')
    expect(file.read(into, 6)).toBe(0)
    expect(file.read(into, 1_000_000)).toBe(0)
    expect(await under().finish(file.readLater(into, 1_000_000))).toBe(0)
    expect(file.read(Buffer.alloc(0), 0)).toBe(0)
    file.close()
  })

  test('a write behind the end leaves zeros between', () => {
    const file = create()
    file.write([Buffer.from('ab')], 0)
    file.write([Buffer.from('yz')], 9_000)
    expect(file.sizeBytes()).toBe(9_002)
    const into = Buffer.alloc(9_002, 1)
    expect(file.read(into, 0)).toBe(9_002)
    expect(into.equals(Buffer.concat([Buffer.from('ab'), Buffer.alloc(8_998), Buffer.from('yz')]))).toBe(true)
    file.close()
  })

  test.each([1, 1_023, 1_024, 1_025, 3_000])(
    'a gathered write of %i pieces stands whole and in order',
    count => {
      const file = create()
      const pieces = Array.from({ length: count }, (_, index) => Buffer.alloc(index % 7, index % 251))
      const whole = Buffer.concat(pieces)
      file.write([Buffer.from('head')], 0)
      file.write(pieces, 4)
      expect(file.sizeBytes()).toBe(4 + whole.length)
      const into = Buffer.alloc(whole.length)
      expect(file.read(into, 4)).toBe(whole.length)
      expect(into.equals(whole)).toBe(true)
      file.close()
    },
  )

  test('a write of 9 MB stands whole', async () => {
    const file = create()
    const piece = Buffer.alloc(3_000_001, 'large')
    file.write([piece, piece, piece], 5)
    const into = Buffer.alloc(3_000_001)
    expect(await under().finish(file.readLater(into, 5 + 2 * 3_000_001))).toBe(3_000_001)
    expect(into.equals(piece)).toBe(true)
    file.close()
  })

  test('a write of nothing changes nothing', () => {
    const file = create()
    file.write([], 10)
    file.write([Buffer.alloc(0)], 10)
    expect(file.sizeBytes()).toBe(0)
    file.close()
  })

  test('the caller may use a buffer again after its write', () => {
    const file = create()
    const buffer = Buffer.from('first')
    file.write([buffer], 0)
    buffer.write('other')
    file.write([buffer], 5)
    file.close()
    expect(contentOf(under().disk, file.path)).toBe('firstother')
  })

  test('truncate cuts, and what is written behind the cut has no old bytes before it', () => {
    const file = create()
    file.write([Buffer.from('abcdef')], 0)
    file.truncate(2)
    expect(file.sizeBytes()).toBe(2)
    file.write([Buffer.from('z')], 4)
    file.truncate(6)
    file.close()
    expect(contentOf(under().disk, file.path)).toBe('ab\0\0z\0')
  })

  test('syncs resolve', async () => {
    const { disk, directory, finish } = under()
    const file = create()
    file.write([Buffer.from('abc')], 0)
    await finish(Promise.all([file.sync(), file.sync()]))
    file.syncNow()
    file.close()
    await finish(disk.syncDirectory(directory))
    disk.syncDirectoryNow(directory)
    expect(contentOf(disk, file.path)).toBe('abc')
  })

  test('a closed file refuses everything but being closed again', async () => {
    const file = create()
    file.close()
    file.close()
    expect(() => file.write([Buffer.from('x')], 0)).toThrow(withCode('EBADF'))
    expect(() => file.read(Buffer.alloc(1), 0)).toThrow(withCode('EBADF'))
    expect(() => file.truncate(0)).toThrow(withCode('EBADF'))
    expect(() => file.sizeBytes()).toThrow(withCode('EBADF'))
    expect(() => file.syncNow()).toThrow(withCode('EBADF'))
    await expect(under().finish(file.sync())).rejects.toThrow(withCode('EBADF'))
    await expect(under().finish(file.readLater(Buffer.alloc(1), 0))).rejects.toThrow(withCode('EBADF'))
  })

  test('what is under way when a file is closed comes to its end', async () => {
    const { disk, directory, finish } = under()
    const file = create()
    file.write([Buffer.from('abc')], 0)
    const into = Buffer.alloc(3)
    const underWay = Promise.all([file.sync(), file.readLater(into, 0)])
    file.close()
    put(disk, `${directory}/other`, 'xyz')
    await finish(underWay)
    expect(into.toString()).toBe('abc')
  })
}

function namesContract(under: Under): void {
  test('list answers names sorted, of files and directories, and nothing of what lies below', () => {
    const { disk, directory } = under()
    for (const name of ['b', 'a', 'B', 'ä', '10', '9']) put(disk, `${directory}/${name}`, '')
    disk.makeDirectory(`${directory}/c/below`)
    expect(disk.list(directory)).toEqual(['10', '9', 'B', 'a', 'b', 'c', 'ä'])
    expect(() => disk.list(`${directory}/nothing`)).toThrow(withCode('ENOENT'))
    expect(() => disk.list(`${directory}/a`)).toThrow(withCode('ENOTDIR'))
  })

  test('stat tells files from directories and from nothing', () => {
    const { disk, directory } = under()
    put(disk, `${directory}/file`, 'abc')
    expect(disk.stat(`${directory}/file`)).toMatchObject({ kind: 'file', sizeBytes: 3 })
    expect(disk.stat(`${directory}/file`)?.modifiedMs).toBeGreaterThan(Date.UTC(2025, 0, 1))
    expect(disk.stat(directory)).toMatchObject({ kind: 'directory' })
    expect(disk.stat(`${directory}/nothing`)).toBeUndefined()
    expect(disk.stat(`${directory}/file/below`)).toBeUndefined()
  })

  test('makeDirectory makes all that is missing, and does not mind what is there', () => {
    const { disk, directory } = under()
    disk.makeDirectory(`${directory}/a/b/c`)
    disk.makeDirectory(`${directory}/a/b/c`)
    put(disk, `${directory}/a/b/c/file`, 'abc')
    expect(disk.list(`${directory}/a/b`)).toEqual(['c'])
    expect(() => disk.makeDirectory(`${directory}/a/b/c/file`)).toThrow(withCode('EEXIST'))
  })

  test('rename moves a file over another; who has the old one open keeps it', () => {
    const { disk, directory } = under()
    disk.makeDirectory(`${directory}/other`)
    put(disk, `${directory}/new`, 'new')
    put(disk, `${directory}/other/old`, 'old')
    const old = disk.open(`${directory}/other/old`, 'read')
    disk.rename(`${directory}/new`, `${directory}/other/old`)
    expect(disk.list(directory)).toEqual(['other'])
    expect(contentOf(disk, `${directory}/other/old`)).toBe('new')
    const into = Buffer.alloc(3)
    expect(old.read(into, 0)).toBe(3)
    expect(into.toString()).toBe('old')
    old.close()
  })

  test('rename moves a directory with all that is in it, and refuses what makes no sense', () => {
    const { disk, directory } = under()
    disk.makeDirectory(`${directory}/a/b`)
    put(disk, `${directory}/a/b/file`, 'abc')
    disk.rename(`${directory}/a`, `${directory}/z`)
    expect(contentOf(disk, `${directory}/z/b/file`)).toBe('abc')
    disk.makeDirectory(`${directory}/a`)
    expect(() => disk.rename(`${directory}/a`, `${directory}/z`)).toThrow(withCode('ENOTEMPTY'))
    expect(() => disk.rename(`${directory}/z/b/file`, `${directory}/a`)).toThrow(withCode('EISDIR'))
    expect(() => disk.rename(`${directory}/a`, `${directory}/z/b/file`)).toThrow(withCode('ENOTDIR'))
    expect(() => disk.rename(`${directory}/z`, `${directory}/z/b/z`)).toThrow(withCode('EINVAL'))
    expect(() => disk.rename(`${directory}/nothing`, `${directory}/a`)).toThrow(withCode('ENOENT'))
    expect(() => disk.rename(`${directory}/z`, `${directory}/nothing/z`)).toThrow(withCode('ENOENT'))
  })

  test('remove takes files, directories with all that is in them, and nothing', async () => {
    const { disk, directory, finish } = under()
    put(disk, `${directory}/file`, 'abc')
    put(disk, `${directory}/stays`, 'abc')
    disk.makeDirectory(`${directory}/a/b`)
    put(disk, `${directory}/a/b/file`, 'abc')
    await finish(disk.remove(`${directory}/file`))
    await finish(disk.remove(`${directory}/a`))
    await finish(disk.remove(`${directory}/nothing`))
    await finish(disk.remove(`${directory}/nothing/below`))
    expect(disk.list(directory)).toEqual(['stays'])
  })

  test('a removed file stays readable for who has it open', async () => {
    const { disk, directory, finish } = under()
    put(disk, `${directory}/file`, 'abc')
    const file = disk.open(`${directory}/file`, 'write')
    await finish(disk.remove(`${directory}/file`))
    const into = Buffer.alloc(3)
    expect(file.read(into, 0)).toBe(3)
    file.close()
  })

  test('syncing a directory that is not there is ENOENT', async () => {
    const { disk, directory, finish } = under()
    expect(() => disk.syncDirectoryNow(`${directory}/nothing`)).toThrow(withCode('ENOENT'))
    await expect(finish(disk.syncDirectory(`${directory}/nothing`))).rejects.toThrow(withCode('ENOENT'))
  })

  test('space is told in bytes', () => {
    const { disk, directory } = under()
    const { freeBytes, totalBytes } = disk.space(directory)
    expect(freeBytes).toBeGreaterThan(0)
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
    expect(() => disk.space(`${directory}/nothing`)).toThrow(withCode('ENOENT'))
  })
}

function lockContract(under: Under): void {
  test('a lock is refused while it is held, and free after its release', () => {
    const { disk, directory } = under()
    const held = disk.lock(`${directory}/lock`)
    expect(held).toBeDefined()
    expect(disk.lock(`${directory}/lock`)).toBeUndefined()
    expect(disk.lock(`${directory}/other`)).toBeDefined()
    held?.release()
    const second = disk.lock(`${directory}/lock`)
    expect(second).toBeDefined()
    held?.release()
    expect(disk.lock(`${directory}/lock`)).toBeUndefined()
    second?.release()
  })

  test('a lock makes its file when it is missing and keeps what is in it', () => {
    const { disk, directory } = under()
    put(disk, `${directory}/lock`, 'abc')
    disk.lock(`${directory}/lock`)?.release()
    expect(contentOf(disk, `${directory}/lock`)).toBe('abc')
    disk.lock(`${directory}/made`)?.release()
    expect(disk.list(directory)).toEqual(['lock', 'made'])
    expect(() => disk.lock(`${directory}/nothing/lock`)).toThrow(withCode('ENOENT'))
  })
}
