/**
 * Java's properties format, as java.util.Properties.load reads it: text in, names and values with their lines out. Every
 * text is some properties; what is wrong with them is for others to say.
 */
export type Property = { readonly name: string; readonly value: string; readonly line: number }

export function parseProperties(text: string): Property[] {
  return logicalLines(text).map(({ content, line }) => {
    const [, name = '', value = ''] = /^((?:\\.|[^\\\s=:])*)\s*[=:]?\s*(.*)$/s.exec(content) ?? []
    return { name: unescaped(name), value: unescaped(value), line }
  })
}

/** Lines without comments and blanks, those that end in an odd number of backslashes joined with the next one. */
function logicalLines(text: string): { content: string; line: number }[] {
  const lines: { content: string; line: number }[] = []
  let open: { content: string; line: number } | undefined
  for (const [at, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const stripped = raw.trimStart()
    if (open === undefined && (stripped === '' || /^[#!]/.test(stripped))) continue
    const current: { content: string; line: number } = open ?? { content: '', line: at + 1 }
    const continues = (/\\+$/.exec(stripped)?.[0].length ?? 0) % 2 === 1
    current.content += continues ? stripped.slice(0, -1) : stripped
    open = continues ? current : undefined
    if (!continues) lines.push(current)
  }
  return open === undefined ? lines : [...lines, open]
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f' }

const unescaped = (text: string): string =>
  text.replaceAll(
    /\\(?:u([0-9a-fA-F]{4})|(.))/gs,
    (_, code: string | undefined, letter: string | undefined) =>
      code === undefined
        ? (escapes[letter ?? ''] ?? letter ?? '')
        : String.fromCharCode(Number.parseInt(code, 16)),
  )
