// The package ships no types. Source: its README, "build(options) => SonicBoom".
declare module 'pino-roll' {
  import type { EventEmitter } from 'node:events'

  type RollingFile = EventEmitter & { write(line: string): boolean }

  export default function build(options: {
    file: string
    size: string
    mkdir: boolean
    limit: { count: number; removeOtherLogFiles: boolean }
    sync: boolean
    maxLength: number
  }): Promise<RollingFile>
}
