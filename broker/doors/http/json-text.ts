import { isUtf8 } from 'node:buffer'
import { Refusal } from '../../../base/refusals.ts'

/**
 * The value that `bytes` hold as JSON in UTF-8. `what` names them in the message ("The body", "Line 3").
 * @throws Refusal INVALID_JSON that says where it breaks
 */
export function parseJson(bytes: Buffer, what: string): unknown {
  if (!isUtf8(bytes)) throw new Refusal('INVALID_JSON', `${what} is not UTF-8, and JSON must be`)
  return parseJsonText(bytes.toString('utf8'), what)
}

/** @throws Refusal INVALID_JSON that says where it breaks, or that it is nested too deeply; BODY_TOO_LARGE for too many objects */
export function parseJsonText(text: string, what: string): unknown {
  if (text.length > shortText) refuseCostly(text, what)
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal('INVALID_JSON', `${what} is not JSON: ${breakOf(text)}`)
  }
}

// Objects take many times the memory of their text, so it is looked at before it is parsed.
const depthMax = 1000
const objectsMax = 100_000
/** Too short to do harm, and not worth a look. */
const shortText = 8192

function refuseCostly(text: string, what: string): void {
  let [depth, objects, quoted] = [0, 0, false]
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === backslash) at++
    else if (code === quote) quoted = !quoted
    else if (quoted) continue
    else if (code === closeArray || code === closeObject) depth--
    else if (code === openArray || code === openObject) {
      depth++
      objects++
      if (depth > depthMax) {
        throw new Refusal('INVALID_JSON', `${what} nests objects and arrays more than ${depthMax} deep`)
      }
    }
  }
  if (objects > objectsMax) {
    throw new Refusal(
      'BODY_TOO_LARGE',
      `${what} holds ${objects} objects and arrays, more than ${objectsMax}`,
    )
  }
}

const [quote, backslash] = [0x22, 0x5c]
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Whether `text` may hold a number that loses digits, or itself, on its way through a double. */
export const hasDelicateNumber = (text: string): boolean => /[\d.]{16}|\d[eE]/.test(text)

/** The same as JSON.parse, but numbers are kept as they were written, for text whose values are written as JSON again. */
export const parseKeepingNumbers = (text: string): unknown => JSON.parse(text, keepNumber)

// The third argument (TC39's JSON.parse source text access) is not yet in TypeScript's library.
type WithRawJson = { rawJSON(source: string): unknown }

function keepNumber(...[, value, context]: [string, unknown, { source: string }?]): unknown {
  return typeof value === 'number' && context !== undefined
    ? (JSON as unknown as WithRawJson).rawJSON(context.source)
    : value
}

function breakOf(text: string): string {
  const at = whereJsonBreaks(text)
  const before = text.slice(0, at)
  const line = before.split('\n').length
  const column = at - before.lastIndexOf('\n')
  const found = at >= text.length ? 'it ends' : `${JSON.stringify(text.slice(at, at + 1))} stands`
  const place = line === 1 ? `column ${column}` : `line ${line}, column ${column}`
  return `${found} where something else is expected, at ${place}`
}

/** What must come next, behind which a closing bracket may come instead. */
type Wanted = 'value' | 'key' | 'colon' | 'more'

/**
 * Where `text` stops being JSON: V8 names the position in some of its messages only. Answers the length of the text when
 * it merely ends too early.
 */
export function whereJsonBreaks(text: string): number {
  const closers: (']' | '}')[] = []
  let wanted: Wanted = 'value'
  let mayClose = false
  let at = 0
  for (;;) {
    at = endOf(space, text, at)
    const char = text[at]
    if (char === undefined) return text.length
    const closer = closers.at(-1)
    if (mayClose && char === closer) {
      closers.pop()
      wanted = 'more'
      at += 1
    } else if (wanted === 'more' || wanted === 'colon') {
      if (char !== (wanted === 'colon' ? ':' : ',') || closer === undefined) return at
      wanted = wanted === 'more' && closer === '}' ? 'key' : 'value'
      mayClose = false
      at += 1
    } else if (wanted === 'value' && (char === '[' || char === '{')) {
      closers.push(char === '[' ? ']' : '}')
      wanted = char === '[' ? 'value' : 'key'
      mayClose = true
      at += 1
    } else {
      if (wanted === 'key' && char !== '"') return at
      const end = char === '"' ? stringEnd(text, at) : endOf(scalar, text, at)
      if (end === at || end < 0) return Math.abs(end)
      at = end
      mayClose = wanted === 'value'
      wanted = wanted === 'value' ? 'more' : 'colon'
    }
  }
}

const space = /[ \t\r\n]*/y
const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

/** Where what `pattern` (sticky) finds at `at` ends; `at` when it finds nothing. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}

/** Behind the closing quote of the string at `at`; minus the place where it breaks when it is none. */
function stringEnd(text: string, at: number): number {
  let here = at + 1
  for (;;) {
    const char = text[here]
    if (char === '"') return here + 1
    if (char === undefined || char < ' ') return -here
    const next = char === '\\' ? endOf(escape, text, here) : here + 1
    if (next === here) return -here
    here = next
  }
}
