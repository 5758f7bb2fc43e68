/** Waiting that can be ended, and leaves nothing behind. */

/** A reason is a part of one line. */
const MAX_REASON = 200

/** What went wrong, in words: browsers reject with events that say nothing. Each reason once, however many ways were tried. */
export function reasonOf(error: unknown): string {
  const reasons = error instanceof AggregateError ? new Set(error.errors.map(reasonOf)) : [wordsOf(error)]
  const text = [...reasons].join('; ')
  return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text
}

function wordsOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : 'the connection was refused'
}

/** The promise's outcome, unless the signal is aborted first; then its reason. */
export async function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever is turned away below leaves it to itself: its failure is nobody's any more, and must not end the process.
  promise.catch(() => {})
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onabort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onabort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onabort)
  }
}

/** Resolves after `ms`, or at once when aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}

/**
 * Runs something that must end within `ms` and with `parent`. Its signal is silent once it has ended:
 * libp2p takes an abort after a dial as an order to end the connection that the dial made.
 */
export async function limited<T>(ms: number, parent: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  parent.throwIfAborted()
  const own = new AbortController()
  const onabort = (): void => own.abort(parent.reason)
  parent.addEventListener('abort', onabort, { once: true })
  const timer = setTimeout(() => own.abort(new Error(`no answer within ${ms / 1000} s`)), ms)
  try {
    return await raced(run(own.signal), own.signal)
  } finally {
    clearTimeout(timer)
    parent.removeEventListener('abort', onabort)
  }
}

/**
 * Runs attempts one after the other, each starting when the one before has failed or `staggerMs` have
 * passed, whichever is first (RFC 8305). The first to succeed wins; the others are aborted.
 *
 * @throws AggregateError of all failures, in order
 */
export async function staggered<T>(
  attempts: readonly ((signal: AbortSignal) => Promise<T>)[],
  staggerMs: number,
  parent: AbortSignal,
): Promise<T> {
  parent.throwIfAborted()
  const controllers = new Set<AbortController>()
  const over = new AbortController()
  const onabort = (): void => {
    over.abort()
    for (const controller of controllers) controller.abort(parent.reason)
  }
  parent.addEventListener('abort', onabort, { once: true })

  function start(attempt: (signal: AbortSignal) => Promise<T>): { run: Promise<T>; settled: AbortSignal } {
    const own = new AbortController()
    const settled = new AbortController()
    controllers.add(own)
    const run = attempt(own.signal).finally(() => {
      controllers.delete(own)
      settled.abort()
    })
    run.then(
      () => over.abort(),
      () => {},
    )
    return { run, settled: settled.signal }
  }

  const runs: Promise<T>[] = []
  try {
    for (const attempt of attempts) {
      const { run, settled } = start(attempt)
      runs.push(run)
      if (attempt !== attempts.at(-1)) await pause(staggerMs, AbortSignal.any([over.signal, settled]))
      if (over.signal.aborted) break
    }
    return await raced(Promise.any(runs), parent)
  } finally {
    parent.removeEventListener('abort', onabort)
    for (const controller of controllers) controller.abort(new Error('another way was faster'))
  }
}
