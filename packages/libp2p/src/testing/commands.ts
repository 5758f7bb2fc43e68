/** Vitest browser commands: tests in a browser start and stop relays in Node.js. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { RelayOptions } from './relay.ts'

export interface RunningRelay {
  readonly pid: number
  readonly peer: string
  readonly multiaddrs: string[]
}

const relays = new Map<number, ChildProcess>()

async function startRelay(_context: unknown, options: RelayOptions): Promise<RunningRelay> {
  const script = join(import.meta.dirname, 'relay.ts')
  const child = spawn(process.execPath, ['--conditions=source', script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error('no relay process')
  relays.set(pid, child)
  child.once('exit', () => relays.delete(pid))
  const exited = once(child, 'exit').then(() => {
    throw new Error('the relay ended before it listened')
  })
  exited.catch(() => {})
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), exited])) as [string]
  return { pid, ...(JSON.parse(line) as Omit<RunningRelay, 'pid'>) }
}

/** As a crash does: nobody is told. */
async function killRelay(_context: unknown, pid: number): Promise<void> {
  const child = relays.get(pid)
  if (child === undefined) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

export const relayCommands = { startRelay, killRelay }

declare module 'vitest/browser' {
  interface BrowserCommands {
    startRelay(options: RelayOptions): Promise<RunningRelay>
    killRelay(pid: number): Promise<void>
  }
}
