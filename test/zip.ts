import { inflateRawSync } from 'node:zlib'

const endOfDirectory = 0x06054b50
const endBytes = 22
const entryBytes = 46
const localBytes = 30

/** The names of the files in a zip archive (a jar), each with a function that unpacks it. For archives below 4 GiB. */
export function readZip(zip: Buffer): Map<string, () => Buffer> {
  let end = zip.length - endBytes
  while (end > 0 && zip.readUInt32LE(end) !== endOfDirectory) end--
  const files = new Map<string, () => Buffer>()
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const nameEnd = at + entryBytes + zip.readUInt16LE(at + 28)
    const name = zip.toString('utf8', at + entryBytes, nameEnd)
    const entry = at
    files.set(name, () => unpack(zip, entry))
    at = nameEnd + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return files
}

function unpack(zip: Buffer, entry: number): Buffer {
  const stored = zip.readUInt16LE(entry + 10) === 0
  const local = zip.readUInt32LE(entry + 42)
  const from = local + localBytes + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
  const packed = zip.subarray(from, from + zip.readUInt32LE(entry + 20))
  return stored ? packed : inflateRawSync(packed)
}
