/**
 * Files of owner seeds: one seed in hex a line; `#` starts a comment.
 *
 * @module
 */
import { CommandError } from './failure.ts'

const SEED_BYTES = 32
const LINE = /^[0-9a-f]{64}$/i
const MAX_SEEDS = 1000

export const SEEDS_HEADING = '# Igor owner keys: whoever has them commands your agents. Keep this file safe and secret.'

/** @throws CommandError BAD_KEY */
export function parseSeeds(bytes: Uint8Array, file: string): Uint8Array[] {
  const lines = Buffer.from(bytes)
    .toString('utf8')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const bad = lines.findIndex((line) => !LINE.test(line))
  if (bad >= 0)
    throw new CommandError('BAD_KEY', `${file} is no file of igor keys: line ${bad + 1} is not ${SEED_BYTES} bytes in hex`)
  if (lines.length === 0) throw new CommandError('BAD_KEY', `${file} holds no key`)
  if (lines.length > MAX_SEEDS) throw new CommandError('BAD_KEY', `${file} holds more than ${MAX_SEEDS} keys`)
  return lines.map((line) => new Uint8Array(Buffer.from(line, 'hex')))
}

export function formatSeeds(seeds: readonly string[]): string {
  return `${[SEEDS_HEADING, ...seeds].join('\n')}\n`
}
