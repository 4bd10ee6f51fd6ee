import { crc32c } from '../../base/crc32c.ts'

/** Eight hex digits that change when `value`, plain JSON with its keys in order, changes. */
export const digestOf = (value: unknown): string =>
  crc32c(Buffer.from(JSON.stringify(value)))
    .toString(16)
    .padStart(8, '0')
