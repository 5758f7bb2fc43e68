import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { nodeThreads } from './threads.ts'

/** Ends as the code says, in a process of its own. */
async function run(code: string): Promise<{ code: number | null; output: string }> {
  const threads = fileURLToPath(new URL('./threads.ts', import.meta.url))
  const script = `import { nodeThreads } from ${JSON.stringify(threads)}\n${code}`
  const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part
  })
  const [status] = await once(child, 'close')
  return { code: status, output }
}

const GARBAGE = `{ type: 'load', id: 1, module: 'm', bytes: new Uint8Array(3), maxMemoryBytes: 65536, granted: [] }`

it('works in plain Node.js from source, and lets the process end once it is terminated', async () => {
  const { code, output } = await run(`
    const thread = nodeThreads().spawn()
    const reply = new Promise((resolve) => { thread.onmessage = resolve })
    thread.post(${GARBAGE})
    console.log((await reply).type)
    thread.terminate()
  `)
  expect(output).toBe('refused\n')
  expect(code).toBe(0)
})

it('tells why a thread could not start', async () => {
  const thread = nodeThreads(new URL('file:///nowhere/worker.js')).spawn()
  const reason = await new Promise<string>((resolve) => {
    thread.onexit = resolve
  })
  expect(reason).toContain('/nowhere/worker.js')
  // Of no effect any more, and no error.
  thread.post('hello')
  thread.terminate()
})

it('tells when a thread fails', async () => {
  const code = `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('on purpose') })`
  const thread = nodeThreads(new URL(`data:text/javascript,${encodeURIComponent(code)}`)).spawn()
  const reason = new Promise<string>((resolve) => {
    thread.onexit = resolve
  })
  thread.post('go')
  expect(await reason).toBe('on purpose')
})

it('does not show a thread the environment', async () => {
  const code = `import { parentPort } from 'node:worker_threads'; parentPort.postMessage(Object.keys(process.env))`
  const thread = nodeThreads(new URL(`data:text/javascript,${encodeURIComponent(code)}`)).spawn()
  const keys = await new Promise((resolve) => {
    thread.onmessage = resolve
  })
  expect(keys).toEqual([])
  thread.terminate()
})
