import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  didOf,
  LineageError,
  MAX_GO_CHECKPOINT_BYTES,
  MAX_GO_CHECKPOINTS,
  parseGoCheckpoint,
  publicKeyOf,
  verifyGoHistory,
} from './index.ts'

const seed = new Uint8Array(32).fill(4)
const key = publicKeyOf(seed)
const module = sha256(Uint8Array.of(1))

interface Fields {
  readonly version?: number
  readonly tick?: bigint
  readonly budget?: bigint
  readonly prev?: Uint8Array
  readonly module?: Uint8Array
  readonly seed?: Uint8Array
  readonly state?: Uint8Array
}

/** Written after the format's description, field by field. */
const checkpoint = (fields: Fields = {}): Uint8Array => {
  const { version = 4, tick = 1n, budget = 5_000_000n, state = Uint8Array.of(1, 2, 3) } = fields
  const header = new Uint8Array(version === 2 ? 57 : version === 3 ? 81 : 209)
  const view = new DataView(header.buffer)
  header[0] = version
  view.setBigInt64(1, budget, true)
  view.setBigInt64(9, 1000n, true)
  view.setBigUint64(17, tick, true)
  header.set(fields.module ?? module, 25)
  if (version >= 3) {
    view.setBigUint64(57, 1n, true)
    view.setBigUint64(65, 2n, true)
    view.setBigUint64(73, 1_767_225_600_000_000_000n, true)
  }
  if (version >= 4) {
    const by = fields.seed ?? seed
    header.set(fields.prev ?? new Uint8Array(32), 81)
    header.set(publicKeyOf(by), 113)
    header.set(ed25519.sign(Uint8Array.of(...header.subarray(0, 145), ...state), by), 145)
  }
  return Uint8Array.of(...header, ...state)
}

const named = (tick: bigint, fields: Fields = {}) => ({
  name: `${tick.toString().padStart(10, '0')}.ckpt`,
  bytes: checkpoint({ ...fields, tick }),
})
const history = () => {
  const first = named(1n)
  const second = named(5n, { prev: sha256(first.bytes) })
  const third = named(12n, { prev: sha256(second.bytes), module: sha256(Uint8Array.of(2)) })
  return [first, second, third] as const
}
const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'accepted'
  } catch (error) {
    if (error instanceof LineageError) return error.code
    throw error
  }
}

describe('checkpoints of the Go system', () => {
  test('version 2', () => {
    const read = parseGoCheckpoint(checkpoint({ version: 2, tick: 7n, budget: -5n }))
    expect(read).toMatchObject({ version: 2, tick: 7n, budget: -5n, price: 1000n, module, state: Uint8Array.of(1, 2, 3) })
    expect(read.lease).toBeUndefined()
    expect(read.lineage).toBeUndefined()
  })

  test('version 3', () => {
    const read = parseGoCheckpoint(checkpoint({ version: 3 }))
    expect(read.lease).toEqual({ major: 1n, generation: 2n, expiryNs: 1_767_225_600_000_000_000n })
    expect(read.lineage).toBeUndefined()
    expect(read.state).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('version 4', () => {
    const bytes = checkpoint({ tick: 2n ** 64n - 1n })
    const read = parseGoCheckpoint(bytes)
    expect(read).toMatchObject({ version: 4, tick: 2n ** 64n - 1n, hash: sha256(bytes) })
    expect(read.lineage).toMatchObject({ agent: didOf(key), signatureValid: true, prev: new Uint8Array(32) })
  })

  test('in a buffer that a platform hands in, at an odd place', () => {
    const bytes = checkpoint()
    const buffer = Uint8Array.of(9, 9, 9, ...bytes).subarray(3)
    expect(parseGoCheckpoint(buffer)).toEqual(parseGoCheckpoint(bytes))
  })

  test('no byte of version 4 can be flipped', () => {
    const bytes = checkpoint()
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8)))
      let valid = false
      const code = codeOf(() => {
        valid = parseGoCheckpoint(flipped).lineage?.signatureValid ?? false
      })
      expect(code === 'accepted' && valid, `byte ${at}`).toBe(false)
    }
  })

  test('other versions, and headers cut off, are refused', () => {
    for (const version of [0, 1, 5, 255])
      expect(codeOf(() => parseGoCheckpoint(checkpoint().with(0, version)))).toBe('BAD_GO_CHECKPOINT')
    for (const [version, length] of [
      [2, 56],
      [3, 80],
      [4, 208],
      [4, 0],
    ] as const) {
      expect(codeOf(() => parseGoCheckpoint(checkpoint({ version }).subarray(0, length)))).toBe('BAD_GO_CHECKPOINT')
    }
    expect(parseGoCheckpoint(checkpoint({ version: 2, state: new Uint8Array(0) })).state.length).toBe(0)
  })

  test('anything else is a LineageError or a checkpoint', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void codeOf(() => parseGoCheckpoint(bytes))))
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 208, maxLength: 260 }), fc.constantFrom(2, 3, 4), (bytes, version) => {
        const code = codeOf(() => parseGoCheckpoint(Uint8Array.of(version, ...bytes)))
        expect(code).toBe('accepted')
      }),
    )
  })
})

describe('histories of the Go system', () => {
  test('verify in any order of files', () => {
    const verified = verifyGoHistory(history().toReversed())
    expect(verified).toMatchObject({ agent: didOf(key), checkpoints: 3, signed: 3, complete: true, firstTick: 1n, lastTick: 12n })
    expect(verified.modules.map(({ firstTick, lastTick, checkpoints }) => [firstTick, lastTick, checkpoints])).toEqual([
      [1n, 5n, 2],
      [12n, 12n, 1],
    ])
    expect(verified.last.tick).toBe(12n)
  })

  test('may begin with a checkpoint that was not signed yet, or later than the agent did', () => {
    const old = named(1n, { version: 3 })
    const next = named(2n, { prev: sha256(old.bytes) })
    expect(verifyGoHistory([old, next])).toMatchObject({ checkpoints: 2, signed: 1, complete: false, agent: didOf(key) })
    expect(verifyGoHistory(history().slice(1))).toMatchObject({ checkpoints: 2, complete: false })
    expect(verifyGoHistory([old])).toMatchObject({ agent: null, signed: 0 })
  })

  test('order by number, not by name', () => {
    const first = { ...named(9n), name: '9.ckpt' }
    const second = { ...named(10n, { prev: sha256(first.bytes) }), name: '10.ckpt' }
    expect(verifyGoHistory([second, first]).lastTick).toBe(10n)
  })

  const broken: readonly [string, () => readonly { name: string; bytes: Uint8Array }[]][] = [
    ['nothing', () => []],
    ['a file of another name', () => [...history(), { name: 'notes.txt', bytes: checkpoint() }]],
    ['a name with a path', () => [{ name: '../1.ckpt', bytes: checkpoint() }]],
    ['a name of another tick', () => [{ ...history()[0], name: '2.ckpt' }]],
    ['one tick twice', () => [...history(), { ...history()[0], name: '1.ckpt' }]],
    ['one tick twice, well linked', () => [history()[0], { ...named(1n, { prev: sha256(history()[0].bytes) }), name: '1.ckpt' }]],
    ['one left out', () => [history()[0], history()[2]]],
    ['a link to another', () => [history()[0], named(2n, { prev: module })]],
    ['a link to nothing', () => [history()[0], named(2n)]],
    ['another agent', () => [history()[0], named(2n, { prev: sha256(history()[0].bytes), seed: new Uint8Array(32) })]],
    ['an unsigned one after a signed', () => [history()[0], named(2n, { version: 3 })]],
    ['a state changed', () => [{ ...history()[0], bytes: history()[0].bytes.with(210, 77) }]],
  ]
  test.each(broken)('with %s are refused', (_, files) => {
    expect(codeOf(() => verifyGoHistory(files()))).toBe('BAD_GO_HISTORY')
  })

  test('are bounded', () => {
    const file = history()[0]
    expect(codeOf(() => verifyGoHistory(Array.from({ length: MAX_GO_CHECKPOINTS + 1 }, () => file)))).toBe('TOO_LARGE')
    expect(codeOf(() => parseGoCheckpoint(new Uint8Array(MAX_GO_CHECKPOINT_BYTES + 1).fill(4)))).toBe('TOO_LARGE')
  })

  test('name the file that is wrong', () => {
    const [first, second] = history()
    expect(() => verifyGoHistory([first, { ...second, bytes: second.bytes.subarray(0, 100) }])).toThrow(
      expect.objectContaining({ code: 'BAD_GO_CHECKPOINT', record: second.name }),
    )
  })
})
