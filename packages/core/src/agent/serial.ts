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
