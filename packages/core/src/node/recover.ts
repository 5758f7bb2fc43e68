/**
 * Its owner's word that an agent goes on whose host is gone or halted, or whose witness is gone.
 *
 * @module
 */
import { startChain } from '@igor/lineage'
import { nowMs } from '../agent/context.ts'
import type { Agent, ImportOptions, RecoverOptions } from '../api.ts'
import { IgorError } from '../errors.ts'
import { makeProof } from '../protocols/watch.ts'
import type { WitnessService } from '../witness/service.ts'
import { createHandle } from './handle.ts'
import type { Handles } from './handles.ts'
import type { Peers } from './peers.ts'

export interface RecoveryOptions {
  readonly handles: Handles
  /** The witness that this node serves. */
  readonly service: WitnessService | undefined
  readonly heard: Pick<Peers, 'said'>
  readonly takeFile: (file: Uint8Array, given: ImportOptions) => Promise<Agent>
}

/** @throws IgorError as `Node.recover` */
export type Recovery = (agent: string, given?: RecoverOptions) => Promise<Agent>

export const createRecovery = ({ handles, service, heard, takeFile }: RecoveryOptions): Recovery => {
  const { context, residents, owner, resolve, witnessOf } = handles
  const { links, peer, clock } = context

  const handle = (agent: string): Agent => createHandle(agent, handles)
  const inSight = (): string[] => heard.said().flatMap(({ witness }) => witness ?? [])

  /** Who owns an agent is told by its birth, which its witness shows to anyone. */
  const learn = async (agent: string, witness: string, signal?: AbortSignal): Promise<void> => {
    if (owner.owns(agent) !== undefined) return
    const link = await links.to(witness, [], signal)
    const [genesis] = await link.records(agent, undefined, signal)
    if (genesis?.body.agent !== agent) throw new IgorError('UNKNOWN_AGENT', `the witness ${witness} knows no agent ${agent}`)
    owner.learn(startChain(genesis).genesis.body)
  }

  /** From here one life rests on the owner's word. @param before the last moment at which it stands here as it is packed */
  const alone = async (
    agent: string,
    to: string,
    given: RecoverOptions,
    more: ImportOptions = {},
    before?: () => Promise<void>,
  ): Promise<Agent> => {
    const one = handle(agent)
    const file = await one.export(given)
    await before?.()
    await takeFile(file, { force: given.force ?? false, ...more })
    if (to !== peer) await one.moveTo(to, given)
    return one
  }

  /** The witness is gone for good, says its owner: it goes on from what this node has, with another one or none. */
  const withoutWitness = async (agent: string, witness: string | null, to: string, given: RecoverOptions): Promise<Agent> => {
    const { signal } = given
    const next = witness === null ? null : witnessOf(await resolve(witness, signal))
    const chain = residents.ledger(agent)?.chain
    const gone = chain?.witness ?? chain?.changing?.to
    if (gone == null || (residents.hosted(agent)?.commitment.left() ?? 0) > 0)
      throw new IgorError('BAD_REQUEST', `${agent} has no witness here that is gone`)
    if (next !== null) await (await links.to(next, [], signal)).welcome(agent, signal)
    const more = chain?.witness == null ? {} : { witness: next }
    return alone(agent, to, given, more, () => residents.halt(agent, `its owner says that its witness ${gone} is gone`))
  }

  return async (agent, given = {}) => {
    const { signal, force = false, witness } = given
    const asked = witness == null || force ? undefined : witnessOf(await resolve(witness, signal))
    if (asked !== undefined) await learn(agent, asked, signal)
    const sign = owner.signer(agent)
    const to = given.to === undefined ? peer : await resolve(given.to, signal)
    if (witness !== undefined && force) return withoutWitness(agent, witness, to, given)
    const known = asked ?? (await service?.chain(agent))?.witness ?? residents.ledger(agent)?.chain.witness
    if (known === null) return alone(agent, to, given)
    const proof = await makeProof(agent, peer, nowMs(clock), sign)
    // Its host, who could say which it is, may be gone.
    for (const one of known === undefined ? new Set(inSight()) : [known]) {
      try {
        await (await links.to(one, [], signal)).takeover(agent, { to, proof }, signal)
        return handle(agent)
      } catch (error) {
        if (known !== undefined || !(error instanceof IgorError) || error.code !== 'UNKNOWN_AGENT') throw error
      }
    }
    return alone(agent, to, given)
  }
}
