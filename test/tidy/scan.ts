/** A TypeScript source, told apart into what runs, what is said about it and what stands in quotes. Positions stay the same. */
export type Scanned = {
  /** Everything but comments. */
  readonly uncommented: string
  /** Neither comments nor the content of strings, templates and regular expressions. */
  readonly code: string
  readonly comments: string
}

const CODE = 0
const COMMENT = 1
const QUOTED = 2

export function scan(text: string): Scanned {
  const kinds = kindsOf(text)
  const only = (...kept: number[]): string => {
    let masked = ''
    for (const [at, kind] of kinds.entries())
      masked += kept.includes(kind) || text[at] === '\n' ? (text[at] ?? '') : ' '
    return masked
  }
  return { uncommented: only(CODE, QUOTED), code: only(CODE), comments: only(COMMENT) }
}

function kindsOf(text: string): Uint8Array {
  const kinds = new Uint8Array(text.length)
  /** For each template we are inside of: how many braces its running expression has open. */
  const braces: number[] = []
  let at = 0
  const mark = (kind: number, end: number): void => {
    kinds.fill(kind, at, end)
    at = end
  }
  while (at < text.length) {
    const char = text[at]
    const open = braces.at(-1)
    if (text.startsWith('//', at)) mark(COMMENT, endOf(text, '\n', at))
    else if (text.startsWith('/*', at)) mark(COMMENT, endOf(text, '*/', at + 2) + 2)
    else if (char === "'" || char === '"') mark(QUOTED, afterQuote(text, at + 1, char))
    else if (char === '`' || (char === '}' && open === 0)) {
      if (char === '}') braces.pop()
      mark(QUOTED, afterTemplatePart(text, at + 1))
      if (text.startsWith('${', at - 2)) braces.push(0)
    } else if (char === '/' && startsPattern(text, kinds, at)) mark(QUOTED, afterPattern(text, at + 1))
    else {
      if (open !== undefined && char === '{') braces[braces.length - 1] = open + 1
      if (open !== undefined && char === '}') braces[braces.length - 1] = open - 1
      at += 1
    }
  }
  return kinds
}

function endOf(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from)
  return at === -1 ? text.length : at
}

function afterQuote(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote) at += text[at] === '\\' ? 2 : 1
  return at + 1
}

/** Behind the end of a template, or behind the `${` of its next expression. */
function afterTemplatePart(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '`') {
    if (text.startsWith('${', at)) return at + 2
    at += text[at] === '\\' ? 2 : 1
  }
  return at + 1
}

function afterPattern(text: string, from: number): number {
  let at = from
  let inClass = false
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return at + 1
}

/** Whether a slash begins a regular expression and does not divide. */
function startsPattern(text: string, kinds: Uint8Array, slash: number): boolean {
  let at = slash - 1
  while (at >= 0 && (kinds[at] === COMMENT || /\s/.test(text[at] ?? ''))) at -= 1
  if (at < 0) return true
  if (kinds[at] === QUOTED) return false
  const before = /[\w$]+$/.exec(text.slice(Math.max(0, at - 20), at + 1))?.[0]
  if (before !== undefined)
    return /^(?:return|typeof|case|in|of|yield|await|void|throw|else|do)$/.test(before)
  return text[at] !== ')' && text[at] !== ']'
}
