import { ApiError, type JsonPatch } from '../../../kube/api.ts'
import { type Json, isList, isMap, overTheWire, same, without } from './json.ts'

type Step = JsonPatch[number]

/**
 * RFC 6902, without move and copy.
 * @throws ApiError 422 when a test fails or a path leads nowhere
 */
export const patched = (document: Json, patch: JsonPatch): Json => patch.reduce<Json>(applied, document)

function applied(document: Json, step: Step): Json {
  if (step.path !== '' && !step.path.startsWith('/')) throw refused(step, 'its path is no JSON pointer')
  const names = step.path.split('/').slice(1)
  return at(
    document,
    names.map(name => name.replaceAll('~1', '/').replaceAll('~0', '~')),
    step,
  )
}

function at(value: Json, [name, ...rest]: readonly string[], step: Step): Json {
  if (name === undefined) return atEnd(value, step)
  if (isList(value)) return inList(value, name, rest, step)
  if (!isMap(value)) throw refused(step, 'its path leads through a scalar')
  const inner = value[name]
  if (rest.length > 0) {
    if (inner === undefined) throw refused(step, 'its path leads nowhere')
    return { ...value, [name]: at(inner, rest, step) }
  }
  if (step.op === 'add') return { ...value, [name]: overTheWire(step.value) }
  if (step.op === 'test' && inner === undefined && step.value === null) return value
  if (inner === undefined) throw refused(step, 'nothing is there')
  return step.op === 'remove' ? without(value, name) : { ...value, [name]: atEnd(inner, step) }
}

function inList(list: readonly Json[], name: string, rest: readonly string[], step: Step): Json {
  const index = name === '-' && step.op === 'add' && rest.length === 0 ? list.length : Number(name)
  if (!/^(?:0|[1-9]\d*|-)$/.test(name) || Number.isNaN(index))
    throw refused(step, 'its path has no number for a list')
  if (rest.length === 0 && step.op === 'add' && index <= list.length)
    return list.toSpliced(index, 0, overTheWire(step.value))
  const inner = list[index]
  if (inner === undefined) throw refused(step, 'the list is shorter')
  if (rest.length === 0 && step.op === 'remove') return list.toSpliced(index, 1)
  return list.with(index, at(inner, rest, step))
}

function atEnd(value: Json, step: Step): Json {
  if (step.op === 'remove') throw refused(step, 'the whole cannot be removed')
  if (step.op !== 'test') return overTheWire(step.value)
  if (!same(value, overTheWire(step.value))) throw refused(step, 'its test fails')
  return value
}

const refused = (step: Step, why: string): ApiError =>
  new ApiError(`the server rejects the patch ${step.op} ${step.path}: ${why}`, {
    code: 422,
    reason: 'Invalid',
  })
