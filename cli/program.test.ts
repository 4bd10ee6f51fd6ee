import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { program } from './program.ts'

function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)]
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: piece => void (text += piece) })
  command.outputHelp()
  return text
}

async function parse(...words: string[]): Promise<{ code: string; text: string }> {
  let text = ''
  const root = program()
  for (const command of all(root)) command.configureOutput({ writeErr: piece => void (text += piece) })
  const error: unknown = await root.parseAsync(words, { from: 'user' }).catch((error: unknown) => error)
  return { code: (error as { code: string }).code, text }
}

describe('help', () => {
  test.each(all(program()).map(command => [command.name(), command] as const))(
    'of %s shows two examples',
    (_, command) => {
      const [, lines = ''] = helpOf(command).split('Examples:\n')
      expect(lines.split('\n').filter(line => line.includes('stele')).length).toBeGreaterThanOrEqual(2)
    },
  )
})

describe('a command line that cannot be meant', () => {
  test('names the nearest command and option', async () => {
    expect((await parse('consum', 'x')).text).toContain('Did you mean consume?')
    expect((await parse('consume', 'x', '--folow')).text).toContain('Did you mean --follow?')
    expect((await parse('topic', 'lst')).text).toContain('Did you mean list?')
  })
  test.each([
    [['produce'], 'commander.missingArgument'],
    [['produce', 'a', 'b'], 'commander.excessArguments'],
    [['produce', 'a', '--acks', '2'], 'commander.invalidArgument'],
    [['produce', 'a', '--key', '1', '--key-separator', ':'], 'commander.conflictingOption'],
    [['consume', 'a', '--from', 'yesterday'], 'commander.invalidArgument'],
    [['consume', 'a', '--json', '-K', ':'], 'commander.conflictingOption'],
    [['topic', 'create', 'a', '--partitions', '0'], 'commander.invalidArgument'],
    [['start', '--kafka', '9092'], 'commander.invalidArgument'],
  ])('%j is refused', async (words, code) => {
    const refused = await parse(...words)
    expect(refused.code).toBe(code)
    expect(refused.text).toMatch(/Say stele .*--help for how to use it/)
  })
})
