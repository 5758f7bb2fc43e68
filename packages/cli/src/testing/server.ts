/**
 * Real servers: `igor up` in processes of their own.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { igor, type Ran } from './io.ts'

export interface Server {
  readonly dataDir: string
  readonly child: ChildProcess
  readonly peerId: string
  readonly url: string
  readonly multiaddrs: readonly string[]
  /** What it said on stderr so far. */
  stderr(): string
  /** A command to this server. */
  igor(...args: string[]): Promise<Ran>
  /** The same with --json; its result. Fails the test when the command fails. */
  ask<T>(...args: string[]): Promise<T>
  /** Sends the signal and waits for the end; its exit code, null after SIGKILL. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

const bin = fileURLToPath(new URL('../bin.ts', import.meta.url))

/** `igor` as a process, from source. */
export function spawnIgor(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', bin, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
}

/** @throws Error with its stderr when it does not come up */
export async function startServer(dataDir: string, ...args: string[]): Promise<Server> {
  const child = spawnIgor('up', '--port', '0', '--json', '--data-dir', dataDir, ...args)
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const first = await Promise.race([once(lines, 'line'), exited.then(() => undefined)])
  if (first === undefined) throw new Error(`igor up ended: ${stderr}`)
  const said = JSON.parse(String(first[0])) as { peerId: string; url: string; multiaddrs: string[] }
  const server: Server = {
    dataDir,
    child,
    ...said,
    stderr: () => stderr,
    igor: (...command) => igor([...command, '--data-dir', dataDir]),
    async ask(...command) {
      const { code, stdout, stderr: error } = await server.igor(...command, '--json')
      if (code !== 0) throw new Error(`igor ${command.join(' ')} exits with ${code}: ${error}`)
      return JSON.parse(stdout)
    },
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      await exited
      return child.exitCode
    },
  }
  return server
}
