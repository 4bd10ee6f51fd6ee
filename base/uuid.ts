import type { Random } from './world.ts'

/**
 * A random UUID (version 4) as Kafka prints it: 22 characters of base64url. Begins and ends with a letter or digit, so that it can
 * stand in names and on command lines.
 */
export function randomUuid(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16)
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
    const text = bytes.toString('base64url')
    if (/^[A-Za-z0-9].*[A-Za-z0-9]$/.test(text)) return text
  }
}
