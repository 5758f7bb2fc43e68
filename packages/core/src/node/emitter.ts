/**
 * Listeners that come and go.
 *
 * @module
 */

export interface Emitter<T> {
  emit(value: T): void
  /** Returns a function that ends it. */
  on(listener: (value: T) => void): () => void
  readonly size: number
  clear(): void
}

/** A listener that throws must not keep the others from hearing: its error goes to `onerror`. */
export const createEmitter = <T>(onerror: (error: unknown) => void = () => {}): Emitter<T> => {
  const listeners = new Set<(value: T) => void>()
  return {
    emit: (value) => {
      for (const listener of [...listeners]) {
        try {
          listener(value)
        } catch (error) {
          onerror(error)
        }
      }
    },
    on: (listener) => {
      const own = (value: T): void => listener(value)
      listeners.add(own)
      return () => listeners.delete(own)
    },
    get size() {
      return listeners.size
    },
    clear: () => listeners.clear(),
  }
}
