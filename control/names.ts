/**
 * What a topic may be called: Kafka's rules (org.apache.kafka.common.internals.Topic). In come names, out go refusals that
 * say which name would do.
 */
import { Refusal } from '../base/refusals.ts'

const nameLengthMax = 249
const foreign = /[^a-zA-Z0-9._-]+/g

/** @throws Refusal INVALID_TOPIC_EXCEPTION, with the nearest valid name where there is one */
export function checkTopicName(name: string): void {
  const wrong = wrongWith(name)
  if (wrong === undefined) return
  const nearest = nearestTopicName(name)
  const hint = nearest === undefined ? '' : `; try ${JSON.stringify(nearest)}`
  throw new Refusal('INVALID_TOPIC_EXCEPTION', `${shown(name)} cannot be a topic's name: ${wrong}${hint}`)
}

function wrongWith(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name === '.' || name === '..') return 'it means a directory'
  if (name.search(foreign) >= 0) return 'only letters a-z, digits, ".", "_" and "-" may stand in it'
  if (name.length > nameLengthMax) return `it is longer than ${nameLengthMax} characters`
  return undefined
}

const shown = (name: string): string =>
  JSON.stringify(name.length > nameLengthMax ? `${name.slice(0, 40)}…` : name)

/** The valid name most like `name`, or undefined when nothing of it is left. */
function nearestTopicName(name: string): string | undefined {
  const plain = name
    .normalize('NFKD')
    .replaceAll(/\p{Mark}+/gu, '')
    .replaceAll(foreign, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, nameLengthMax)
  return wrongWith(plain) === undefined ? plain : undefined
}

/** The name as metrics write it, with "_" for "."; two topics that share it would be counted as one. */
export const countedName = (name: string): string => name.replaceAll('.', '_')
