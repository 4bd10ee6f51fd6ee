import { crc32c as native } from '@node-rs/crc32'

/** CRC-32C (Castagnoli) of `bytes`, as an unsigned 32-bit number. About 8 GB/s. */
export const crc32c = (bytes: Buffer): number => native(bytes)
