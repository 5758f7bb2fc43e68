/**
 * Bringing an agent to the present in a worker: its last state, and then the journal since.
 *
 * @module
 */
import { chunkEntries, type JournalEntry, type LineageRecord, type RunEntry } from '@igor/lineage'
import { IgorError } from '../errors.ts'
import type { Executor, Placed } from '../execution/executor.ts'
import type { Crypto } from '../platform.ts'
import type { Image, Replayed, ReplayStep } from '../worker/protocol.ts'
import { advanceHost } from './advance.ts'
import type { HostPart } from './host-part.ts'
import type { Ledger } from './ledger.ts'
import { seedRoot } from './seed.ts'

/** Steps, fuel and bytes of one request: others' ticks wait behind it in the same worker. */
const MAX_STEPS = 256
const MAX_STEP_FUEL = 500_000_000n
const MAX_STEP_BYTES = 1024 * 1024

/** The whole memory of the last state, as a worker takes it. */
export const readImage = async (ledger: Ledger): Promise<Image> => {
  const { current } = ledger
  if (current === undefined) throw new IgorError('NOT_AUTHORITATIVE', `${ledger.agent} does not live here`)
  const entries = [...chunkEntries(current.block)]
  const chunks = await Promise.all(
    entries.map(async ([index, digest]) => {
      const bytes = await ledger.readBlock(digest)
      if (bytes === undefined) throw new IgorError('STORE_DAMAGED', `chunk ${index} of ${ledger.agent} is missing`)
      return [index, bytes] as const
    }),
  )
  return { chunks, memoryBytes: current.block.memory.bytes, globals: current.block.globals, kv: current.host.kv }
}

/** Roots of the seeds, by epoch. */
export const createRoots = ({
  crypto,
}: {
  readonly crypto: Pick<Crypto, 'sha256'>
}): ((records: readonly LineageRecord[], epoch: number) => Promise<Uint8Array>) => {
  let last: { readonly epoch: number; readonly root: Uint8Array } | undefined
  return async (records, epoch) => {
    if (last?.epoch !== epoch)
      last = {
        epoch,
        root: await seedRoot(
          crypto,
          records.filter(({ body }) => body.epoch <= epoch),
        ),
      }
    return last.root
  }
}

interface Step {
  readonly entry: RunEntry
  readonly step: ReplayStep
}

/** An entry does not come out again. */
export class ReplayDiffers extends IgorError {
  readonly entry: RunEntry
  /** How it went here; undefined: not at all. */
  readonly found: Replayed | undefined
  constructor(message: string, entry: RunEntry, found: Replayed | undefined) {
    super('REPLAY_DIFFERS', message)
    this.entry = entry
    this.found = found
  }
}

const differs = (agent: string, entry: RunEntry, found: Replayed | undefined): ReplayDiffers => {
  const { header, ticks, fuel, taken, failed } = entry
  const was = `${ticks} ticks, ${fuel} fuel, ${taken} messages${failed === null ? '' : ', then a failure'}`
  const is =
    found === undefined
      ? 'nothing'
      : `${found.ticks} ticks, ${found.fuel} fuel, ${found.taken} messages${found.failed ? ', then a failure' : ''}`
  return new ReplayDiffers(
    `the journal of ${agent} does not come out again: from tick ${header.tick} on it says ${was}; running it gave ${is}`,
    entry,
    found,
  )
}

const isSame = ({ ticks, fuel, taken, failed }: RunEntry, found: Replayed | undefined): boolean =>
  found !== undefined &&
  found.ticks === ticks &&
  found.fuel === fuel &&
  found.taken === taken &&
  found.failed === (failed !== null)

/**
 * Runs entries again in a worker that holds the state before them.
 *
 * @param host of that state
 * @param rootOf the root of an epoch's seeds
 * @returns the host's part after them; its kv is that of the state
 * @throws ReplayDiffers, and what the executor throws
 */
export const replayEntries = async (
  executor: Executor,
  placed: Placed,
  agent: string,
  host: HostPart,
  entries: readonly JournalEntry[],
  rootOf: (epoch: number) => Promise<Uint8Array>,
): Promise<HostPart> => {
  let present = host
  let inbox = host.inbox
  let arrivals: Uint8Array[] = []
  let steps: Step[] = []
  let fuel = 0n
  let bytes = 0
  const flush = async (): Promise<void> => {
    if (steps.length === 0) return
    const results = await executor.replay(
      placed,
      inbox,
      steps.map(({ step }) => step),
    )
    const wrong = steps.findIndex(({ entry }, i) => !isSame(entry, results[i]))
    const at = steps[wrong]
    if (at !== undefined) throw differs(agent, at.entry, results[wrong])
    inbox = present.inbox.slice(0, present.inbox.length - arrivals.length)
    steps = []
    fuel = 0n
    bytes = 0
  }
  for (const entry of entries) {
    if (entry.kind === 'message') {
      arrivals.push(entry.message)
      bytes += entry.message.length
    }
    if (entry.kind === 'run') {
      const { tick, time, limit, price, balance, receipts, epoch } = entry.header
      const header = { tick, time, limit, price, balance, receipts, root: await rootOf(epoch) }
      steps.push({
        entry,
        step: { ...header, messages: arrivals, ticks: entry.ticks, fuel: entry.fuel, failed: entry.failed !== null },
      })
      arrivals = []
      fuel += entry.fuel + (entry.failed === null ? 0n : limit)
    }
    present = advanceHost(present, entry)
    if (steps.length >= MAX_STEPS || fuel >= MAX_STEP_FUEL || bytes >= MAX_STEP_BYTES) await flush()
  }
  await flush()
  return present
}
