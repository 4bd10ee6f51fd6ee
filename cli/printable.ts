/** What a terminal would act on, or show in another place than it stands: C0, DEL, C1, line separators, marks of direction. */
const unprintable = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/** `text`, which may come from anyone, safe to show on a terminal: one line, its control characters written as JSON has them. */
export const printable = (text: string): string => text.replaceAll(unprintable, escaped)

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const escaped = (character: string): string =>
  escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
