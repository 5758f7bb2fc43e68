// Runs seeds in a thread, one after the other; a rejection that nobody handles is a failure of the run that it came in.
import { parentPort, workerData } from 'node:worker_threads'

// Stacks are most of what an error costs, and nobody reads them here.
Error.stackTraceLimit = workerData.traced ? 30 : 0
const { runSeed, shrink } = await import(workerData.bundle)

let unhandled = []
process.on('unhandledRejection', (error) => unhandled.push(`nobody handled: ${error?.stack ?? error}`))

parentPort.on('message', async ({ run, shrinks }) => {
  unhandled = []
  const before = process.threadCpuUsage?.() ?? process.cpuUsage()
  try {
    const shrunk = shrinks ? await shrink(run) : undefined
    const result = shrunk?.result ?? (await runSeed(run))
    await new Promise((resolve) => setImmediate(resolve))
    const { user, system } = process.threadCpuUsage?.(before) ?? process.cpuUsage(before)
    parentPort.postMessage({
      run: shrunk?.run ?? run,
      result: { ...result, failures: [...result.failures, ...unhandled] },
      seconds: (user + system) / 1e6,
    })
  } catch (error) {
    parentPort.postMessage({ run, error: error.stack ?? String(error) })
  }
})
