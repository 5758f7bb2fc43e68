/**
 * What others take for a call that does next to nothing. They are no dependencies of Igor's: whoever wants them beside its
 * figures installs them.
 *
 * @module
 */
import { trivial } from './trivial.ts'

/** What to run for them. */
export const INSTALL = 'npm install --no-save @extism/extism@1.0.3 @permaweb/ao-loader@0.0.49'

const CALLS = 2000
const MESSAGES = 300

/** Undefined: it is not installed. */
const load = async (name: string): Promise<{ readonly default: unknown } | undefined> => {
  try {
    return await import(name)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** Microseconds of processor of a call (ao-loader takes the clocks away), after some that warm it up. */
const timed = async (call: () => Promise<unknown>, times: number): Promise<number> => {
  for (let i = 0; i < times / 5; i++) await call()
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) await call()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / times
}

interface Plugin {
  call(name: string, input: string): Promise<unknown>
  close(): Promise<void>
}

/** A plugin's export called, in the same thread. */
export const callExtism = async (): Promise<number | undefined> => {
  const extism = await load('@extism/extism')
  if (extism === undefined) return undefined
  const create = extism.default as (manifest: object, options: object) => Promise<Plugin>
  const plugin = await create({ wasm: [{ data: trivial(0) }] }, { useWasi: false })
  const us = await timed(() => plugin.call('agent_tick', ''), CALLS)
  await plugin.close()
  return us
}

/**
 * A process that counts in memory (1 MiB of it) and answers nothing, with what ao-loader asks of a module: its exports by
 * emscripten's names, and `handle`, which here is a constant JSON answer.
 */
const AO_PROCESS =
  'AGFzbQEAAAABFwVgAABgAn9/AX9gAX8Bf2ABfwBgAAF/AxAPAAECAwQDAgAEBAQEAQIEBAUBcAEBAQUDAQAQBg0CfwFBgIAEC38BQQALB6gCEQZtZW1vcnkCABlfX2luZGlyZWN0X2Z1bmN0aW9uX3RhYmxlAQARX193YXNtX2NhbGxfY3RvcnMAAAZoYW5kbGUAAQZtYWxsb2MAAgRmcmVlAAMJc3RhY2tTYXZlAAQMc3RhY2tSZXN0b3JlAAUKc3RhY2tBbGxvYwAGFWVtc2NyaXB0ZW5fc3RhY2tfaW5pdAAHGWVtc2NyaXB0ZW5fc3RhY2tfZ2V0X2ZyZWUACBllbXNjcmlwdGVuX3N0YWNrX2dldF9iYXNlAAkYZW1zY3JpcHRlbl9zdGFja19nZXRfZW5kAAocZW1zY3JpcHRlbl9zdGFja19nZXRfY3VycmVudAALBG1haW4ADAZmZmx1c2gADRBfX2Vycm5vX2xvY2F0aW9uAA4KZw8CAAsSAEEIQQgoAgBBAWo2AgBBgAgLBgBBgIAICwIACwQAIwALBgAgACQACw4AIwAgAGtBcHEkACMACwIACwYAQeDUAwsGAEGAgAQLBQBBgCALBAAjAAsEAEEACwQAQQALBABBBAsLLAEAQYAICyV7Im9rIjp0cnVlLCJyZXNwb25zZSI6eyJPdXRwdXQiOiIifX0A'

type Handle = (memory: Uint8Array | null, message: object, env: object) => Promise<{ readonly Memory: Uint8Array }>

/** A message to a process, its memory given and taken as its users do. */
export const callAo = async (): Promise<number | undefined> => {
  const loader = await load('@permaweb/ao-loader')
  if (loader === undefined) return undefined
  const create = loader.default as (binary: Uint8Array, options: object) => Promise<Handle>
  const handle = await create(Buffer.from(AO_PROCESS, 'base64'), { format: 'wasm32-unknown-emscripten2', computeLimit: 9e12 })
  let memory: Uint8Array | null = null
  const message = { Owner: 'owner', Tags: [], Data: 'x' }
  return timed(async () => {
    const answer = await handle(memory, message, { Process: { Id: '1', Tags: [] } })
    memory = answer.Memory
  }, MESSAGES)
}
