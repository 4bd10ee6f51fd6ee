import { InvalidArgumentError, Option, type Command } from 'commander'

/** Digits only, at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`)
    }
    return value
  }
}

/** Digits, perhaps behind a minus. */
export function signedNumber(text: string): number {
  const value = /^[-+]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.')
  return value
}

/** Gathers a repeated whole number into a list. */
export const severalNumbers = (text: string, sofar: number[] | undefined): number[] => [
  ...(sofar ?? []),
  wholeNumber(0)(text),
]

/** Whole numbers with commas between them. */
export const numberList = (text: string): number[] => text.split(',').map(wholeNumber(0))

/** Gathers repeated `name=value` into one object; a name given twice keeps its last value. */
export function nameAndValue(
  text: string,
  sofar: Record<string, string> | undefined,
): Record<string, string> {
  return { ...sofar, ...Object.fromEntries([splitPair(text)]) }
}

/** Gathers repeated `name=value` into a list that keeps order and repeats. */
export function pair(text: string, sofar: [string, string][] | undefined): [string, string][] {
  return [...(sofar ?? []), splitPair(text)]
}

function splitPair(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('It must be written name=value.')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

/** Gathers a repeated option into a list. */
export const several = (text: string, sofar: string[] | undefined): string[] => [...(sofar ?? []), text]

/** HOST:PORT, [V6]:PORT or :PORT. Answers it unchanged. */
export function hostAndPort(text: string): string {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]]*):(\d{1,5})$/.exec(text)
  if (match === null || Number(match[1]) > 65_535) {
    throw new InvalidArgumentError('It must be written HOST:PORT, for example localhost:9092.')
  }
  return text
}

const defaultServer = 'http://localhost:8080'

/** Where a broker answers HTTP; `http://` may be left out. Empty (a variable set to nothing): the default. */
export function serverUrl(text: string): URL {
  if (text === '') return new URL(defaultServer)
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new InvalidArgumentError(`It must be a URL, for example ${defaultServer}.`)
  }
  return url
}

/** Gives `command` the option --server (or STELE_SERVER), parsed into a URL. */
export function withServer(command: Command): Command {
  return command.addOption(
    new Option('--server <url>', "the broker's HTTP address")
      .env('STELE_SERVER')
      .default(new URL(defaultServer), defaultServer)
      .argParser(serverUrl),
  )
}

/** The `Examples:` that close a help text. `lines` alternate between a comment and a command. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}\n`
