/**
 * Agents that come to this node by a file, or by their owner's word that they are to go on.
 *
 * @module
 */
import { nowMs } from '../agent/context.ts'
import type { Agent, ImportOptions, NodePolicy } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Executor } from '../execution/executor.ts'
import { importFile } from '../files/file.ts'
import { checkGuest, DEFAULT_MAX_AGENTS, type House, roomOf } from '../handoff/policy.ts'
import type { WitnessService } from '../witness/service.ts'
import { createHandle } from './handle.ts'
import type { Handles } from './handles.ts'
import type { Peers } from './peers.ts'
import { createRecovery, type Recovery } from './recover.ts'

export interface Comebacks {
  import(file: Uint8Array, options: ImportOptions): Promise<Agent>
  readonly recover: Recovery
}

export interface ComebacksOptions {
  readonly handles: Handles
  readonly executor: Executor
  readonly policy: NodePolicy
  readonly house: () => House
  /** The witness that this node serves. */
  readonly service: WitnessService | undefined
  readonly heard: Pick<Peers, 'said'>
  readonly onchange: () => void
}

export const createComebacks = (options: ComebacksOptions): Comebacks => {
  const { handles, executor, policy, house, service, heard } = options
  const { context, residents, owner } = handles
  const { clock, store } = context

  const takeFile = async (file: Uint8Array, given: ImportOptions): Promise<Agent> => {
    const imported = await importFile(context, file, {
      signer: (chain) => (owner.learn(chain.genesis.body) ? owner.signer(chain.agent) : undefined),
      force: given.force ?? false,
      ...(given.witness === undefined ? {} : { witness: given.witness?.split('/p2p/').at(-1) ?? null }),
      executor,
      admit: (manifest) => {
        if (store.damaged)
          throw new IgorError('STORE_DAMAGED', 'the data of this node was damaged: import it into a node with a new data folder')
        if (roomOf(house()) === 0)
          throw new IgorError('QUOTA', `this node has no room for another agent (${policy.maxAgents ?? DEFAULT_MAX_AGENTS})`)
        checkGuest(house(), manifest)
      },
    })
    // How long it was carried: since its handoff record, by both clocks.
    residents.arrived({ ...imported, since: clock.elapsed() - Math.max(0, nowMs(clock) - imported.leftAt) })
    options.onchange()
    return createHandle(imported.ledger.agent, handles)
  }

  return { import: takeFile, recover: createRecovery({ handles, service, heard, takeFile }) }
}
