/** How much is done of a copy, in whole percent: 100 only when nothing is left. */
export const percentOf = ({
  bytes,
  bytesLeft,
}: {
  readonly bytes: number
  readonly bytesLeft: number
}): number => (bytes === 0 ? 0 : Math.floor((100 * (bytes - bytesLeft)) / bytes))
