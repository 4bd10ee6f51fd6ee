/**
 * 64-bit big-endian integers as JavaScript numbers. Offsets, timestamps and producer ids stay below 2^53, where numbers
 * are exact; a hostile value beyond that is rounded, and written back as the nearest one that 64 bits hold.
 */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

export function writeInt64(bytes: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  if (high > 0x7fff_ffff || high < -0x8000_0000) {
    bytes.writeInt32BE(high < 0 ? -0x8000_0000 : 0x7fff_ffff, at)
    bytes.writeUInt32BE(high < 0 ? 0 : 0xffff_ffff, at + 4)
    return
  }
  bytes.writeInt32BE(high, at)
  bytes.writeUInt32BE(value - high * 0x1_0000_0000, at + 4)
}
