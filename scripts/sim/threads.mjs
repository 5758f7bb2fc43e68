// Threads that run seeds of one bundle.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

/** A run that takes more processor time hangs: the slowest take seconds, however busy the machine is. */
const HANGS_MS = 60_000
/** One that takes longer by the clock waits for what never comes. */
const STANDS_MS = 10 * 60_000
const LOOK_MS = 5000

/**
 * @param {string} source of the bundle
 * @param {{threads?: number, traced?: boolean}} [options]
 */
export async function openThreads(source, { threads = availableParallelism(), traced = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'igor-sim-'))
  const file = join(folder, 'sim.mjs')
  await writeFile(file, source)
  const open = () =>
    new Worker(new URL('worker.mjs', import.meta.url), { workerData: { bundle: pathToFileURL(file).href, traced } })
  let workers = Array.from({ length: threads }, open)

  /** @returns {Promise<{run: object, result: object, seconds: number}>} */
  const ask = (index, message) =>
    new Promise((resolve, reject) => {
      const worker = workers[index]
      const asked = Date.now()
      let before
      const late = setInterval(async () => {
        const usage = await worker.cpuUsage().catch(() => undefined)
        if (usage === undefined) return
        const ms = (usage.user + usage.system) / 1000
        before ??= ms
        if (ms - before < HANGS_MS && Date.now() - asked < STANDS_MS) return
        over(() => reject(new Error(`a run took longer than ${HANGS_MS / 1000} s of processor time`)))
        void worker.terminate()
        workers[index] = open()
      }, LOOK_MS)
      const over = (settle) => {
        clearInterval(late)
        worker.off('message', onmessage)
        worker.off('error', onerror)
        settle()
      }
      const onmessage = (answer) => over(() => (answer.error === undefined ? resolve(answer) : reject(new Error(answer.error))))
      const onerror = (error) => over(() => reject(error))
      worker.on('message', onmessage)
      worker.on('error', onerror)
      worker.postMessage(message)
    })

  return {
    /**
     * Runs until there are no more, or `onresult` says that it is enough. Of a run that did not end there is no more than
     * its seed and why.
     *
     * @param {Iterable<object>} runs
     */
    async all(runs, onresult) {
      const left = runs[Symbol.iterator]()
      let enough = false
      await Promise.all(
        workers.map(async (_, index) => {
          for (let next = left.next(); !next.done && !enough; next = left.next()) {
            const run = next.value
            const { result, seconds } = await ask(index, { run }).catch(({ message }) => ({
              result: { seed: run.seed, failures: [message] },
              seconds: 0,
            }))
            enough ||= onresult(run, result, seconds) === true
          }
        }),
      )
    },
    shrink: (run) => ask(0, { run, shrinks: true }),
    one: (run) => ask(0, { run }),
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()))
      workers = []
      await rm(folder, { recursive: true, force: true })
    },
  }
}
