/**
 * 64-bit big-endian integers as JavaScript numbers. Offsets, timestamps and producer ids stay below 2^53, where numbers
 * are exact; a hostile value beyond that is rounded, and is out of range for everything it could be used as.
 */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

export function writeInt64(bytes: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  bytes.writeInt32BE(high, at)
  bytes.writeUInt32BE(value - high * 0x1_0000_0000, at + 4)
}
