declare module 'fs-native-extensions' {
  /** @returns false when another open file holds the lock */
  export function tryLock(fd: number, offset?: number, length?: number): boolean
}
