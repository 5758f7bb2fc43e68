/**
 * Agents that come to this node by a file, or by their owner's word that they are to go on.
 *
 * @module
 */
import { nowMs } from '../agent/context.ts'
import type { Agent, ImportOptions, NodePolicy, RecoverOptions } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Executor } from '../execution/executor.ts'
import { importFile } from '../files/file.ts'
import { checkGuest, DEFAULT_MAX_AGENTS, type House, roomOf } from '../handoff/policy.ts'
import { makeProof } from '../protocols/watch.ts'
import type { WitnessService } from '../witness/service.ts'
import { createHandle, type Handles } from './handle.ts'
import type { Peers } from './peers.ts'

export interface Comebacks {
  import(file: Uint8Array, options: ImportOptions): Promise<Agent>
  recover(agent: string, options?: RecoverOptions): Promise<Agent>
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
  const { context, residents, owner, resolve } = handles
  const { clock, links, store } = context

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

  const recover = async (agent: string, given: RecoverOptions = {}): Promise<Agent> => {
    const { signal } = given
    const sign = owner.signer(agent)
    const to = given.to === undefined ? context.peer : await resolve(given.to, signal)
    const known = (await service?.chain(agent))?.witness ?? residents.ledger(agent)?.chain.witness
    if (known === null) return recoverAlone(agent, to, given)
    const proof = await makeProof(agent, context.peer, nowMs(clock), sign)
    // Its host, who could say which it is, may be gone.
    const inSight = heard.said().flatMap(({ witness }) => witness ?? [])
    for (const witness of known === undefined ? new Set(inSight) : [known]) {
      try {
        await (await links.to(witness, [], signal)).takeover(agent, { to, proof }, signal)
        return createHandle(agent, handles)
      } catch (error) {
        if (known !== undefined || !(error instanceof IgorError) || error.code !== 'UNKNOWN_AGENT') throw error
      }
    }
    return recoverAlone(agent, to, given)
  }

  /** From here one life rests on the owner's word. */
  const recoverAlone = async (agent: string, to: string, given: RecoverOptions): Promise<Agent> => {
    const handle = createHandle(agent, handles)
    await takeFile(await handle.export(given), { force: given.force ?? false })
    if (to !== context.peer) await handle.moveTo(to, given)
    return handle
  }

  return { import: takeFile, recover }
}
