import { CarReader, CarWriter } from '@ipld/car'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { describe, expect, test } from 'vitest'
import {
  type Block,
  buildMemory,
  cborCid,
  encodeState,
  inspectCar,
  LineageError,
  type LineageRecord,
  MAX_CAR_BYTES,
  neededBlocks,
  pruneRecords,
  rawCid,
  readCar,
  signRecord,
  splitModule,
  startChain,
  writeCar,
} from './index.ts'
import {
  acceptBody,
  add,
  agentBlocks,
  alice,
  bob,
  checkpointBody,
  chunkBytes,
  genesisBody,
  type History,
  handoffBody,
  live,
  moved,
  owner,
  start,
  stateBlock,
  steps,
  stranger,
} from './kit.test.util.ts'

const get = (blocks: readonly Block[]) => (wanted: CID) => blocks.find(({ cid }) => cid.equals(wanted))?.bytes
/** What a node does: the blocks that the head needs, no others. */
const fileOf = ({ chain, records }: History, blocks: readonly Block[] = agentBlocks): Uint8Array => {
  const names = [...neededBlocks(chain, records, get(blocks))]
  return writeCar({ records, blocks: names.map((cid) => ({ cid, bytes: get(blocks)(cid) ?? new Uint8Array(0) })) })
}
const codeOf = async (bytes: Uint8Array, options = {}): Promise<string> => {
  try {
    await readCar(bytes, options)
    return 'accepted'
  } catch (error) {
    if (error instanceof LineageError) return error.code
    throw error
  }
}

/** Sections by an independent library: whatever a forger might write. */
const forge = async (roots: CID[], blocks: readonly Block[]): Promise<Uint8Array> => {
  const { writer, out } = CarWriter.create(roots)
  const parts: Uint8Array[] = []
  const reading = (async () => {
    for await (const part of out) parts.push(part)
  })()
  for (const block of blocks) await writer.put(block)
  await writer.close()
  await reading
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
const envelopes = (records: readonly LineageRecord[]): Block[] => records.map(({ bytes }) => ({ cid: cborCid(bytes), bytes }))
const rootOf = (records: readonly LineageRecord[]): CID => cborCid(records.at(-1)?.bytes ?? new Uint8Array(0))

describe('an agent as a file', () => {
  test('comes back as it was', async () => {
    const history = await moved()
    const file = await readCar(fileOf(history))
    expect(file.chain).toEqual(history.chain)
    expect(file.records).toEqual(history.records)
    expect(file.head.id.equals(history.chain.head.id)).toBe(true)
    expect(new Map(file.blocks)).toEqual(new Map(agentBlocks.map(({ cid, bytes }) => [cid.toString(), bytes])))
  })

  test('any history does, whole or pruned', async () => {
    await fc.assert(
      fc.asyncProperty(steps(10), async (walk) => {
        const history = await live(walk)
        expect((await readCar(fileOf(history))).chain).toEqual(history.chain)
        const records = pruneRecords(history.records)
        expect((await readCar(fileOf({ ...history, records }))).chain).toEqual({ ...history.chain, records: records.length })
      }),
      { numRuns: 10 },
    )
  })

  test('ends in a handoff when it is made for a node', async () => {
    let history = await moved()
    history = await add(history, await handoffBody(history.chain, alice), bob)
    expect((await readCar(fileOf(history))).chain.authority).toMatchObject({ status: 'offered', ready: { to: alice.peer } })
  })

  test('may have a module of several blocks, no init and no state yet', async () => {
    const { cid, blocks } = splitModule(new Uint8Array(1024 * 1024 + 1).fill(1))
    const genesis = await signRecord({ ...genesisBody, module: cid, init: null }, owner.sign)
    const history = { chain: startChain(genesis), records: [genesis] }
    const file = fileOf(history, [...agentBlocks, ...blocks])
    expect((await readCar(file)).blocks.size).toBe(4)
    expect(await codeOf(writeCar({ records: [genesis], blocks: [...blocks.slice(1), ...agentBlocks.slice(1, 2)] }))).toBe(
      'MISSING_BLOCK',
    )
    expect(await codeOf(writeCar({ records: [genesis], blocks: [...blocks.slice(0, 2), ...agentBlocks.slice(1, 2)] }))).toBe(
      'MISSING_BLOCK',
    )
  })

  test('holds the journal after its newest state', async () => {
    let history = await moved()
    const journal = Uint8Array.of(0x80)
    const bare = { ...checkpointBody(history.chain), state: null, from: history.chain.head.id, journal: cborCid(journal) }
    history = await add(history, bare, bob)
    const file = fileOf(history, [...agentBlocks, { cid: cborCid(journal), bytes: journal }])
    expect((await readCar(file)).blocks.has(cborCid(journal).toString())).toBe(true)
    expect(await codeOf(writeCar({ records: history.records, blocks: agentBlocks }))).toBe('MISSING_BLOCK')
    // A newer state makes up for all journals before it, its own record's among them.
    history = await add(history, { ...checkpointBody(history.chain), journal: cborCid(journal) }, bob)
    expect(await codeOf(writeCar({ records: history.records, blocks: agentBlocks }))).toBe('accepted')
  })

  test('cannot be written without a record, nor planned without the blocks that name others', async () => {
    expect(() => writeCar({ records: [], blocks: agentBlocks })).toThrow(expect.objectContaining({ code: 'NOT_GENESIS' }))
    const { chain, records } = await moved()
    expect(() => [...neededBlocks(chain, records, () => undefined)]).toThrow(expect.objectContaining({ code: 'MISSING_BLOCK' }))
  })

  test('takes the hashes of a platform', async () => {
    const file = fileOf(await moved())
    let asked = 0
    const options = {
      sha256: async (inputs: readonly Uint8Array[]) => {
        asked += inputs.length
        return inputs.map((input) => sha256(input))
      },
    }
    expect(await codeOf(file, options)).toBe('accepted')
    expect(asked).toBe(agentBlocks.length + 5)
    expect(await codeOf(file, { sha256: async () => [] })).toBe('BAD_BLOCK')
  })

  test('is what other tools read and write', async () => {
    const history = await moved()
    const file = fileOf(history)
    const theirs = await CarReader.fromBytes(file)
    expect((await theirs.getRoots()).map(String)).toEqual([rootOf(history.records).toString()])
    const blocks: Block[] = []
    for await (const { cid, bytes } of theirs.blocks()) blocks.push({ cid: cid as CID, bytes })
    expect(blocks.length).toBe(agentBlocks.length + history.records.length)
    expect(await forge([rootOf(history.records)], blocks)).toEqual(file)
    expect(await codeOf(await forge([rootOf(history.records)], blocks.toReversed()))).toBe('accepted')
  })
})

describe('a file that was changed', () => {
  test('no byte can be flipped', async () => {
    const file = fileOf(await moved())
    for (let at = 0; at < file.length; at++) {
      // Inside the chunks, where one byte is like the next, some will do.
      const inChunk = file[at] === file[at + 1] && file[at] === file[at - 1] && at % 97 !== 0
      if (!inChunk)
        expect(await codeOf(file.with(at, (file[at] ?? 0) ^ (1 << ((at * 3) % 8)))), `byte ${at}`).not.toBe('accepted')
    }
  })

  test('nothing can be cut off or added', async () => {
    const file = fileOf(await moved())
    for (let length = 0; length < file.length; length += length < 3000 ? 1 : 53) {
      expect(await codeOf(file.slice(0, length)), `${length} bytes`).not.toBe('accepted')
    }
    for (const extra of [[0], [1, 0], [0x80], [0xff, 0xff, 0xff, 0xff, 0xff]]) {
      expect(await codeOf(Uint8Array.of(...file, ...extra))).toBe('BAD_CAR')
    }
    expect(await codeOf(Uint8Array.of(...file, ...file))).toBe('BAD_CAR')
  })

  test('a length is spelled one way', async () => {
    const file = fileOf(await moved())
    // The header's length is one byte: the same number in two.
    expect(await codeOf(Uint8Array.of((file[0] ?? 0) | 0x80, 0, ...file.subarray(1)))).toBe('BAD_CAR')
  })

  test('a forger with any tool and no key gets nowhere', async () => {
    const history = await moved()
    const { records } = history
    const root = rootOf(records)
    const blocks = [...envelopes(records), ...agentBlocks]
    const extra = { cid: rawCid(Uint8Array.of(9)), bytes: Uint8Array.of(9) }
    const lie = await signRecord({ ...checkpointBody(history.chain), tick: 99 }, stranger.sign)
    const other = await signRecord({ ...checkpointBody(history.chain), budget: 1n }, bob.sign)
    const forged = (...more: readonly LineageRecord[]) => [...blocks, ...envelopes(more)]
    const resigned = await signRecord(records[0]?.body ?? genesisBody, stranger.sign)
    const cases: readonly [string, Uint8Array, string][] = [
      ['a block that nothing needs', await forge([root], [...blocks, extra]), 'UNREACHABLE_BLOCK'],
      ['a block twice', await forge([root], [...blocks, ...blocks.slice(-1)]), 'BAD_CAR'],
      ['another root', await forge([rootOf(records.slice(0, -1))], blocks), 'WRONG_ROOT'],
      ['a root that is a body', await forge([records.at(-1)?.id ?? root], blocks), 'WRONG_ROOT'],
      ['a root that is a state', await forge([stateBlock.cid], blocks), 'WRONG_ROOT'],
      [
        'a record under a raw name',
        await forge(
          [root],
          [...blocks, ...[records.at(-1)?.bytes ?? extra.bytes].map((bytes) => ({ cid: rawCid(bytes), bytes }))],
        ),
        'UNREACHABLE_BLOCK',
      ],
      ['no root', await forge([], blocks), 'BAD_CAR'],
      ['two roots', await forge([root, root], blocks), 'BAD_CAR'],
      ['no records', await forge([root], agentBlocks), 'WRONG_ROOT'],
      ['the genesis cut off', await forge([root], blocks.slice(1)), 'NOT_GENESIS'],
      ['an anchor cut off', await forge([root], blocks.toSpliced(2, 1)), 'BAD_SEQ'],
      ['a record by a stranger', await forge([rootOf([lie])], forged(lie)), 'BAD_SIGNATURE'],
      ['a record that lies about money', await forge([rootOf([other])], forged(other)), 'BAD_BUDGET'],
      ['a second genesis', await forge([root], forged(resigned)), 'BAD_SEQ'],
    ]
    for (const [what, bytes, code] of cases) expect(await codeOf(bytes), what).toBe(code)
    for (const block of agentBlocks) {
      expect(
        await codeOf(
          await forge(
            [root],
            blocks.filter((one) => one !== block),
          ),
        ),
        block.cid.toString(),
      ).toBe('MISSING_BLOCK')
    }
  })

  // A file alone cannot show that there is a later one: it is whole, just old.
  test('one that was rewound to an earlier head is a good file of that head', async () => {
    const { records } = await moved()
    const earlier = records.slice(0, -1)
    const bytes = await forge([rootOf(earlier)], [...envelopes(earlier), ...agentBlocks])
    expect((await readCar(bytes)).chain.head.body).toMatchObject({ kind: 'accept', seq: 3 })
  })

  test('a chunk has 4 KiB', async () => {
    const short = Uint8Array.of(1, 2, 3)
    const state = encodeState({
      version: 1,
      memory: buildMemory(65536, [[0, rawCid(short).multihash.digest]]),
      globals: [],
      host: cborCid(Uint8Array.of(0xa0)),
    })
    let history = await start()
    history = await add(history, { ...checkpointBody(history.chain), state: state.cid }, alice)
    const blocks = agentBlocks.filter(({ bytes }) => !chunkBytes.some((chunk) => chunk === bytes) && bytes !== stateBlock.bytes)
    const file = writeCar({ records: history.records, blocks: [...blocks, state, { cid: rawCid(short), bytes: short }] })
    expect(await codeOf(file)).toBe('BAD_BLOCK')
  })

  test('names of other kinds are refused', async () => {
    const { records } = await moved()
    const digest = rawCid(Uint8Array.of(1)).multihash
    for (const cid of [CID.createV1(0x70, digest), CID.createV0(digest as never)]) {
      const bytes = await forge([rootOf(records)], [...envelopes(records), { cid, bytes: Uint8Array.of(1) }])
      expect(await codeOf(bytes)).toBe('BAD_CAR')
    }
  })

  test('limits hold before anything is read', async () => {
    const file = fileOf(await moved())
    expect(await codeOf(file, { maxBytes: file.length - 1 })).toBe('TOO_LARGE')
    expect(await codeOf(file, { maxBlocks: 5 })).toBe('TOO_LARGE')
    expect(await codeOf(file, { maxRecords: 4 })).toBe('TOO_LARGE')
    expect(await codeOf(file, { maxBytes: file.length, maxBlocks: 12, maxRecords: 5 })).toBe('accepted')
    expect(await codeOf(new Uint8Array(MAX_CAR_BYTES + 1))).toBe('TOO_LARGE')
  })

  test('whatever is read, nothing but a LineageError is thrown, and inspecting throws nothing', async () => {
    const file = fileOf(await moved())
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }).map((changes) => {
            const changed = file.slice()
            for (const [at, value] of changes) changed[at % changed.length] = value
            return changed
          }),
        ),
        async (bytes) => {
          const code = await codeOf(bytes)
          const summary = await inspectCar(bytes)
          expect(summary.verified).toBe(code === 'accepted')
          expect(summary.error?.code).toBe(code === 'accepted' ? undefined : code)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('inspecting', () => {
  test('tells all of a good file, as plain JSON', async () => {
    const history = await moved()
    const summary = await inspectCar(fileOf(history))
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary)
    expect(summary).toMatchObject({
      format: 'car',
      verified: true,
      recordCount: 5,
      agent: { name: 'test agent', epoch: 2, tick: 2, budget: '1000000', authority: { status: 'held', by: bob.peer } },
    })
    expect(summary.records.map(({ kind, seq }) => [seq, kind])).toEqual([
      [0, 'genesis'],
      [1, 'checkpoint'],
      [2, 'handoff'],
      [3, 'accept'],
      [4, 'checkpoint'],
    ])
    expect(summary.records[2]?.to).toBe(bob.peer)
  })

  test('tells what can be read of one that is cut off', async () => {
    const file = fileOf(await moved())
    const summary = await inspectCar(file.subarray(0, 2000))
    expect(summary).toMatchObject({ verified: false, error: { code: 'BAD_CAR' } })
    expect(summary.recordCount).toBeGreaterThan(1)
    expect(summary.agent).toBeUndefined()
  })

  test('names the record that is wrong', async () => {
    const history = await start()
    const { chain } = await add(history, await handoffBody(history.chain, bob), alice)
    const accept = await signRecord(acceptBody(chain), alice.sign)
    const records = [...history.records, chain.head, accept]
    const summary = await inspectCar(writeCar({ records, blocks: agentBlocks }))
    expect(summary).toMatchObject({
      verified: false,
      recordCount: 3,
      error: { code: 'BAD_SIGNATURE', record: accept.id.toString() },
    })
  })

  test('says of something else that it is no such file', async () => {
    for (const bytes of [
      new Uint8Array(0),
      new TextEncoder().encode('{"a": 1}'),
      Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0),
    ]) {
      const summary = await inspectCar(bytes)
      expect(summary).toMatchObject({ verified: false, recordCount: 0 })
      expect(summary.error?.code).toMatch(/^BAD_/)
    }
  })
})
