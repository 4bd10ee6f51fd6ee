/**
 * One Ctrl-C may reach this process more than once: from the terminal, and again from npm or a wrapper that passes signals
 * on. A signal that comes this soon after the first is the same Ctrl-C.
 */
const sameMs = 500

const stopSignals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const

export type Surroundings = {
  readonly on: (signal: string, act: () => void) => void
  readonly nowMs: () => number
  readonly exit: (code: number) => void
}

const thisProcess: Surroundings = {
  on: (signal, act) => void process.on(signal, act),
  nowMs: () => performance.now(),
  exit: code => process.exit(code),
}

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP. Who signals again after that does not want to wait: the process exits at
 * once, with the code a shell gives to that signal.
 */
export function stopSignal({ on, nowMs, exit }: Surroundings = thisProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let firstMs: number | undefined
  for (const [signal, number] of Object.entries(stopSignals)) {
    on(signal, () => {
      if (firstMs === undefined) {
        firstMs = nowMs()
        resolve(signal)
      } else if (nowMs() - firstMs >= sameMs) exit(128 + number)
    })
  }
  return promise
}
