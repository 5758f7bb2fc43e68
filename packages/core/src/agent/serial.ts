/**
 * Runs asynchronous functions one after the other: what runs inside has the subject to itself.
 *
 * @module
 */

export type Serial = <T>(task: () => Promise<T>) => Promise<T>

export const createSerial = (): Serial => {
  let tail: Promise<unknown> = Promise.resolve()
  return (task) => {
    const result = tail.then(task)
    tail = result.catch(() => {})
    return result
  }
}

/** One `Serial` per key, for as long as something waits in it. */
export const createKeyedSerial = (): ((key: string) => Serial) => {
  const tails = new Map<string, Promise<unknown>>()
  return (key) => (task) => {
    const result = (tails.get(key) ?? Promise.resolve()).then(task)
    const tail = result
      .catch(() => {})
      .then(() => {
        if (tails.get(key) === tail) tails.delete(key)
      })
    tails.set(key, tail)
    return result
  }
}
