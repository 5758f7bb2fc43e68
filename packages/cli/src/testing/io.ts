/**
 * Surroundings of a command under test.
 *
 * @module
 */
import { PassThrough } from 'node:stream'
import type { Io } from '../output.ts'
import { run } from '../program.ts'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string | Uint8Array
  readonly signal?: AbortSignal
}

/** Runs a command in this process. */
export async function igor(args: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const stdout = collector()
  const stderr = collector()
  const stdin = new PassThrough()
  stdin.end(surroundings.stdin ?? '')
  const io: Io = {
    stdout: stdout.stream,
    stderr: stderr.stream,
    stdin,
    env: surroundings.env ?? {},
    cwd: surroundings.cwd ?? process.cwd(),
    signal: surroundings.signal ?? new AbortController().signal,
  }
  const code = await run(args, io)
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

function collector(): { stream: PassThrough; text(): string } {
  const stream = new PassThrough()
  const parts: Buffer[] = []
  stream.on('data', (part: Buffer) => parts.push(part))
  return { stream, text: () => Buffer.concat(parts).toString('utf8') }
}
