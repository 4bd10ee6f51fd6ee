declare module 'fs-native-extensions' {
  /** Takes the exclusive lock of an open file, or answers false when another open file has it. */
  export function tryLock(descriptor: number): boolean
}
