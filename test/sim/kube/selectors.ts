import { ApiError } from '../../../kube/api.ts'

export type Labels = Readonly<Record<string, string>>

/**
 * What kubectl's `-l` means.
 * @throws ApiError 400 for what is none
 */
export function selector(text: string | undefined): (labels: Labels) => boolean {
  const wishes = (text ?? '')
    .split(/,(?![^(]*\))/)
    .map(wish => wish.trim())
    .filter(wish => wish !== '')
    .map(wishOf)
  return labels => wishes.every(wish => wish(labels))
}

function wishOf(text: string): (labels: Labels) => boolean {
  const among = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(text)
  if (among !== null) {
    const [, key = '', how, list = ''] = among
    const values = list.split(',').map(value => value.trim())
    return how === 'in'
      ? labels => labels[key] !== undefined && values.includes(labels[key])
      : labels => labels[key] === undefined || !values.includes(labels[key])
  }
  const equal = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/.exec(text)
  if (equal !== null) {
    const [, key = '', how, value] = equal
    return how === '!=' ? labels => labels[key] !== value : labels => labels[key] === value
  }
  const there = /^(!?)([^\s=!]+)$/.exec(text)
  if (there === null)
    throw new ApiError(`unable to parse requirement: ${text}`, { code: 400, reason: 'BadRequest' })
  const [, not, key = ''] = there
  return not === '!' ? labels => labels[key] === undefined : labels => labels[key] !== undefined
}
