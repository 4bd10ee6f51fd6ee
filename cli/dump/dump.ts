import { closeSync, fstatSync, openSync } from 'node:fs'
import { basename } from 'node:path'
import { Failure, usageFailure } from '../failure.ts'
import { bytes } from '../format.ts'
import { tell, write } from '../output.ts'
import { Dumping } from './dumping.ts'
import { dumpOffsetIndex, dumpTimeIndex } from './index-file.ts'
import { dumpLog } from './log-file.ts'
import { dumpSnapshot } from './snapshot.ts'

type Options = { readonly json?: true; readonly records?: true }

/** So much text is gathered before it is written. */
const charactersAtOnce = 64 * 1024

/** Shows a file of a log and checks it; memory does not grow with the file. Throws `Failure` when it finds damage. */
export async function dump(path: string, options: Options): Promise<void> {
  const name = /^(\d{20})?.*\.(log|index|timeindex|snapshot)(?:\.\d+)?(?:\.(?:cut|deleted))?$/.exec(
    basename(path),
  )
  if (name === null) throw usageFailure(`${path} is no .log, .index, .timeindex or .snapshot file`)
  const fd = open(path)
  try {
    const dumping = new Dumping({
      json: options.json ?? false,
      records: options.records ?? false,
      baseOffset: Number(name[1] ?? 0),
    })
    await print(linesOf(fd, path, name[2] ?? 'log', dumping))
    tell(
      `${dumping.summary} in ${bytes(fstatSync(fd).size)}${dumping.damage === undefined ? ', no damage' : ''}`,
    )
    if (dumping.damage !== undefined) throw new Failure(`${path} is ${dumping.damage}`)
  } finally {
    closeSync(fd)
  }
}

function linesOf(fd: number, path: string, kind: string, dumping: Dumping): Iterable<string> {
  switch (kind) {
    case 'index':
      return dumpOffsetIndex(fd, path, dumping)
    case 'timeindex':
      return dumpTimeIndex(fd, dumping)
    case 'snapshot':
      return dumpSnapshot(fd, dumping)
    default:
      return dumpLog(fd, dumping)
  }
}

async function print(lines: Iterable<string>): Promise<void> {
  let text = ''
  for (const line of lines) {
    text += `${line}\n`
    if (text.length < charactersAtOnce) continue
    await write(text)
    text = ''
  }
  await write(text)
}

function open(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw new Failure(`${path} cannot be read: ${(error as Error).message}`)
  }
}
