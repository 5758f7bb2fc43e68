/** As much of a node as an agent's ledger takes, on the real store of a folder of its own. @module */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLogStore } from '@igor/core'
import { peerIdOf, publicKeyOf } from '@igor/lineage'
import type { Context } from '../../core/src/agent/context.ts'
import { openTurns } from '../../core/src/agent/turns.ts'
import { nodeClock, nodeCrypto, openFiles } from '../src/index.ts'

type Part = 'clock' | 'crypto' | 'store' | 'peer' | 'sign' | 'incarnation' | 'fence' | 'price' | 'turns' | 'report'

export interface BenchContext {
  readonly context: Context
  readonly folder: string
  /** Closes the store, and removes the folder. */
  close(): Promise<void>
}

export const benchContext = async (): Promise<BenchContext> => {
  const crypto = nodeCrypto()
  const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
  const seed = crypto.random(32)
  const store = await openLogStore(await openFiles(join(folder, 'data')), { random: (length) => crypto.random(length) })
  const signer = await crypto.signer(seed)
  const context: Pick<Context, Part> = {
    clock: nodeClock(),
    crypto,
    store,
    peer: peerIdOf(publicKeyOf(seed)),
    sign: (message) => signer.sign(message),
    incarnation: crypto.random(16),
    fence: new TextEncoder().encode('main'),
    price: 0n,
    turns: await openTurns(store, 'main'),
    report: () => {},
  }
  return {
    context: context as Context,
    folder,
    close: async () => {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
