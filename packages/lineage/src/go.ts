/**
 * Checkpoints of the Go system, read only: versions 2, 3 and 4 (docs/design.md, section 9). All
 * numbers little-endian:
 *
 *     version u8 | budget i64 | price i64 | tick u64 | wasm sha256 (32)                  57 bytes: v2
 *     | major u64 | lease generation u64 | lease expiry u64 (Unix ns)                    81 bytes: v3
 *     | prev sha256 (32) | agent key (32) | Ed25519 signature (64)                      209 bytes: v4
 *     | state
 *
 * A v4 signs its first 145 bytes followed by the state; `prev` is the SHA-256 of the whole checkpoint
 * before it, zeros in the first.
 *
 * @module
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, equalBytes, plainBytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { didOf } from './identity.ts'

const V2_BYTES = 57
const V3_BYTES = 81
const V4_BYTES = 209
const SIGNED_HEADER_BYTES = 145
const HASH_BYTES = 32
/** A Go agent's state is at most its memory. */
export const MAX_GO_CHECKPOINT_BYTES = V4_BYTES + 64 * 1024 * 1024
/** Files of one history. */
export const MAX_GO_CHECKPOINTS = 100_000

export interface GoCheckpoint {
  readonly version: 2 | 3 | 4
  /** Microcents; may be negative. */
  readonly budget: bigint
  /** Microcents per second. */
  readonly price: bigint
  readonly tick: bigint
  /** SHA-256 of the module. */
  readonly module: Uint8Array
  /** From version 3 on. */
  readonly lease?: { readonly major: bigint; readonly generation: bigint; readonly expiryNs: bigint }
  /** From version 4 on. */
  readonly lineage?: GoLineage
  /** What the agent's `agent_checkpoint` gave. */
  readonly state: Uint8Array
  /** SHA-256 of the whole checkpoint. */
  readonly hash: Uint8Array
}

export interface GoLineage {
  /** SHA-256 of the checkpoint before it, or zeros. */
  readonly prev: Uint8Array
  /** did:key of the agent. */
  readonly agent: string
  readonly signature: Uint8Array
  readonly signatureValid: boolean
}

/**
 * @param file at most 64 MiB and a header
 * @throws LineageError BAD_GO_CHECKPOINT | TOO_LARGE; an invalid signature is told in the result
 */
export function parseGoCheckpoint(file: Uint8Array): GoCheckpoint {
  const bytes = plainBytes(file)
  if (bytes.length > MAX_GO_CHECKPOINT_BYTES)
    throw new LineageError('TOO_LARGE', `a checkpoint has at most ${MAX_GO_CHECKPOINT_BYTES} bytes`)
  const version = bytes[0]
  if (version !== 2 && version !== 3 && version !== 4) {
    throw new LineageError('BAD_GO_CHECKPOINT', `not a checkpoint of version 2, 3 or 4: it starts with ${version ?? 'nothing'}`)
  }
  const headerBytes = version === 2 ? V2_BYTES : version === 3 ? V3_BYTES : V4_BYTES
  if (bytes.length < headerBytes) {
    throw new LineageError(
      'BAD_GO_CHECKPOINT',
      `a header of version ${version} has ${headerBytes} bytes, here are ${bytes.length}: it is cut off`,
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
  const state = bytes.slice(headerBytes)
  return {
    version,
    budget: view.getBigInt64(1, true),
    price: view.getBigInt64(9, true),
    tick: view.getBigUint64(17, true),
    module: bytes.slice(25, V2_BYTES),
    ...(version === 2
      ? {}
      : {
          lease: {
            major: view.getBigUint64(57, true),
            generation: view.getBigUint64(65, true),
            expiryNs: view.getBigUint64(73, true),
          },
        }),
    ...(version === 4 ? { lineage: lineageOf(bytes, state) } : {}),
    state,
    hash: sha256(bytes),
  }
}

function lineageOf(bytes: Uint8Array, state: Uint8Array): GoLineage {
  const key = bytes.slice(V3_BYTES + HASH_BYTES, SIGNED_HEADER_BYTES)
  const signature = bytes.slice(SIGNED_HEADER_BYTES, V4_BYTES)
  let signatureValid = false
  try {
    signatureValid = ed25519.verify(signature, concatBytes(bytes.subarray(0, SIGNED_HEADER_BYTES), state), key, { zip215: false })
  } catch {
    // Not a point or not a scalar: no signature.
  }
  return { prev: bytes.slice(V3_BYTES, V3_BYTES + HASH_BYTES), agent: didOf(key), signature, signatureValid }
}

export interface GoHistory {
  /** did:key, or null if nothing is signed. */
  readonly agent: string | null
  readonly checkpoints: number
  /** How many are signed: the first may be of a version that was not. */
  readonly signed: number
  /** True if it is known to start at the agent's first checkpoint. */
  readonly complete: boolean
  readonly firstTick: bigint
  readonly lastTick: bigint
  /** Runs of checkpoints by one module, oldest first. */
  readonly modules: readonly {
    readonly module: Uint8Array
    readonly firstTick: bigint
    readonly lastTick: bigint
    readonly checkpoints: number
  }[]
  readonly last: GoCheckpoint
}

interface GoFile {
  /** `<tick>.ckpt`; leading zeros do not matter. */
  readonly name: string
  readonly bytes: Uint8Array
}

/**
 * Verifies a folder of checkpoints in the order of their ticks: each signed by the same agent and
 * linked to the one before. Only the first may be unsigned (a version before 4), as the Go system has it.
 *
 * @param files in any order
 * @throws LineageError BAD_GO_HISTORY | BAD_GO_CHECKPOINT | TOO_LARGE, its `record` the file's name
 */
export function verifyGoHistory(files: readonly GoFile[]): GoHistory {
  if (files.length > MAX_GO_CHECKPOINTS)
    throw new LineageError('TOO_LARGE', `a history has at most ${MAX_GO_CHECKPOINTS} checkpoints`)
  const ordered = files
    .map((file) => ({ ...file, tick: tickOf(file.name) }))
    .sort((a, b) => (a.tick < b.tick ? -1 : a.tick > b.tick ? 1 : 0))
  const modules: { module: Uint8Array; firstTick: bigint; lastTick: bigint; checkpoints: number }[] = []
  let first: GoCheckpoint | undefined
  let before: GoCheckpoint | undefined
  let agent: string | null = null
  let signed = 0
  for (const { name, tick, bytes } of ordered) {
    const checkpoint = parseNamed(name, bytes)
    const fail = (message: string) => new LineageError('BAD_GO_HISTORY', `${name}: ${message}`, { record: name })
    if (checkpoint.tick !== tick) throw fail(`it is of tick ${checkpoint.tick}`)
    if (before !== undefined && tick <= before.tick) throw fail('there are two of this tick')
    checkLineage(checkpoint, before, agent, fail)
    if (checkpoint.lineage !== undefined) {
      agent = checkpoint.lineage.agent
      signed++
    }
    const run = modules.at(-1)
    if (run !== undefined && equalBytes(run.module, checkpoint.module)) {
      run.lastTick = tick
      run.checkpoints++
    } else {
      modules.push({ module: checkpoint.module, firstTick: tick, lastTick: tick, checkpoints: 1 })
    }
    first ??= checkpoint
    before = checkpoint
  }
  if (first === undefined || before === undefined)
    throw new LineageError('BAD_GO_HISTORY', 'there is no checkpoint (<tick>.ckpt)')
  const complete = first.lineage?.prev.every((byte) => byte === 0) ?? false
  return {
    agent,
    checkpoints: ordered.length,
    signed,
    complete,
    firstTick: first.tick,
    lastTick: before.tick,
    modules,
    last: before,
  }
}

function tickOf(name: string): bigint {
  const digits = /^(\d{1,20})\.ckpt$/.exec(name)?.[1]
  if (digits === undefined)
    throw new LineageError('BAD_GO_HISTORY', `${JSON.stringify(name.slice(0, 64))} is not named <tick>.ckpt`)
  return BigInt(digits)
}

function parseNamed(name: string, bytes: Uint8Array): GoCheckpoint {
  try {
    return parseGoCheckpoint(bytes)
  } catch (cause) {
    if (!(cause instanceof LineageError)) throw cause
    throw new LineageError(cause.code, `${name}: ${cause.message}`, { cause, record: name })
  }
}

function checkLineage(
  { lineage }: GoCheckpoint,
  before: GoCheckpoint | undefined,
  agent: string | null,
  fail: (message: string) => LineageError,
): void {
  if (lineage === undefined) {
    if (before !== undefined) throw fail('it is not signed (a version before 4)')
    return
  }
  if (!lineage.signatureValid) throw fail('its signature is not by the key that it names')
  if (agent !== null && lineage.agent !== agent) throw fail(`it belongs to ${lineage.agent}, those before to ${agent}`)
  if (before !== undefined && !equalBytes(lineage.prev, before.hash)) throw fail('it does not link to the checkpoint before it')
}
