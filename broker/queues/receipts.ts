/** Receipts: what a consumer shows to speak about a record that it was handed. Out of one window's life they mean nothing. */

export type Receipt = { readonly window: string; readonly offset: number; readonly deliveries: number }

export const receiptOf = (window: string, offset: number, deliveries: number): string =>
  `${window}.${offset}.${deliveries}`

/** Undefined for what is no receipt. */
export function readReceipt(text: string): Receipt | undefined {
  const [, window = '', offset = '', deliveries = ''] =
    /^([\w-]{1,24})\.(\d{1,16})\.(\d{1,9})$/.exec(text) ?? []
  return window === '' ? undefined : { window, offset: Number(offset), deliveries: Number(deliveries) }
}
