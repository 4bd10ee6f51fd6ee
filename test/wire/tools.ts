/** The clients that a test needs on the machine, and what becomes of the test when one is missing. */
import { beforeEach } from 'vitest'
import { foreignBootstrap } from './broker.ts'
import { installed } from './processes.ts'

const hints = {
  cc: 'apt-get install gcc libc6-dev',
  kcat: 'apt-get install kcat',
  java: 'apt-get install default-jre-headless',
  mvn: 'apt-get install maven',
} as const

/**
 * Declares what the tests of this file (or `describe`) start. Without it they are skipped by name and with the reason on a
 * laptop; with CI=true they fail, so that nothing passes by being absent.
 */
export function needs(...commands: (keyof typeof hints)[]): void {
  const missing = commands.filter(command => !installed(command))
  if (missing.length === 0) return
  const reason = missing.map(command => `${command} is not installed (${hints[command]})`).join(', ')
  if (process.env['CI'] !== 'true') process.stderr.write(`skipping tests: ${reason}\n`)
  beforeEach(context => {
    if (process.env['CI'] === 'true') throw new Error(reason)
    context.skip(reason)
  })
}

/** Declares that the tests of this `describe` kill the broker or look at its files or memory: they need one they started. */
export function needsOwnBroker(): void {
  beforeEach(context => {
    if (foreignBootstrap !== undefined) {
      context.skip('only for a broker that the tests start: STELE_TEST_BOOTSTRAP is set')
    }
  })
}
