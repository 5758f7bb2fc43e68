/**
 * What must hold of records, whoever keeps them: who made them, who ordered them, and that no money comes or goes.
 *
 * @module
 */
import type { HeadRow } from '@igor/core/simulated'
import {
  type Checkpoint,
  costOf,
  decodeOrder,
  type Handoff,
  keyOfPeerId,
  LINEAGE_DOMAIN,
  type LineageRecord,
  readForkProof,
  verifySigned,
} from '@igor/lineage'

/** An agent's money up to a record, counted from outside. */
interface Purse {
  readonly initial: bigint
  readonly funds: bigint
  readonly lastOrder: number
  readonly fuel: bigint
  readonly cost: bigint
  readonly price: bigint
  /** Fuel and cost where the epoch began. */
  readonly since: { readonly fuel: bigint; readonly cost: bigint }
}

export interface Histories {
  /** A machine has this key from now on. */
  join(peer: string, machine: number): void
  /** A machine whose word counts for nothing. */
  distrust(machine: number): void
  honest(machine: number): boolean
  /** Its disk was put back unnoticed: it may sign what it signed before, otherwise. */
  forgot(machine: number): void
  /** A node keeps a proof that somebody forked an agent. */
  convicted(machine: number, proof: Uint8Array): void
  /** A liar that had the agent put something into its history that its own disk does not have: nobody else may be able to go on from it. */
  isSpoiled(agent: string): boolean
  /** A node says that somebody signed what did not come out again. */
  accused(machine: number, signer: string): void
  /** A record is durable at a machine. */
  wrote(machine: number, record: LineageRecord): void
  /** A witness's head is durable. */
  head(agent: string, row: HeadRow): void
  /** The witness has ever ordered this agent. */
  isOrdered(agent: string): boolean
  /** A record with a cosignature of the witness was shown. */
  cosigned(machine: number, record: LineageRecord): void
  /** The owner made an order over so much; it was said to be applied. */
  funds(agent: string, amount: bigint): void
  funded(agent: string, amount: bigint): void
  /** Money that was said to have come and is not in the history that ends in this record. */
  unpaid(agent: string, head: string): bigint
}

export interface HistoryOptions {
  fail(what: string): void
  look(what: string): void
  /** Its witness was robbed of its memory, or its owner went on by force. */
  isForked(agent: string): boolean
}

const short = (agent: string): string => `agent …${agent.slice(-6)}`
const isProgress = (body: LineageRecord['body']): body is Checkpoint | Handoff =>
  body.kind === 'checkpoint' || body.kind === 'handoff'

export const createHistories = ({ fail, look, isForked }: HistoryOptions): Histories => {
  const machines = new Map<string, number>()
  const liars = new Set<number>()
  const forgetful = new Set<number>()
  const spoiled = new Set<string>()
  const authors = new Map<string, number | 'owner' | 'nobody'>()
  /** Records that their authors have on their disks. */
  const made = new Set<string>()
  const ordered = new Set<string>()
  const slots = new Map<string, string>()
  const tops = new Map<string, { readonly epoch: number; readonly seq: number }>()
  const purses = new Map<string, Purse>()
  const issued = new Map<string, Set<bigint>>()
  const paid = new Map<string, bigint>()

  const nameOf = ({ body }: LineageRecord): string => `${body.kind} ${body.epoch}/${body.seq} of ${short(body.agent)}`

  const authorOf = (record: LineageRecord): number | 'owner' | 'nobody' => {
    const id = record.id.toString()
    const known = authors.get(id)
    if (known !== undefined && known !== 'nobody') return known
    const byKey = [...machines].find(([peer]) => verifySigned(LINEAGE_DOMAIN, record.signed, keyOfPeerId(peer)))
    const { kind } = record.body
    const author = byKey?.[1] ?? (kind === 'genesis' || kind === 'recover' ? 'owner' : 'nobody')
    authors.set(id, author)
    return author
  }

  const checkMade = (machine: number, record: LineageRecord): void => {
    const author = authorOf(record)
    if (author === machine) made.add(record.id.toString())
    if (liars.has(machine)) return
    look('nothing forged on a disk')
    if (author === 'nobody') fail(`node ${machine} keeps ${nameOf(record)}, which nobody signed`)
    if (typeof author !== 'number' || made.has(record.id.toString())) return
    if (liars.has(author)) {
      spoiled.add(record.body.agent)
      return
    }
    fail(`node ${machine} keeps ${nameOf(record)}, which is not durable at node ${author} that signed it`)
  }

  const cosigned = (machine: number, record: LineageRecord): void => {
    if (record.cosignatures.length === 0 || liars.has(machine) || isForked(record.body.agent)) return
    look('cosigned is ordered')
    if (!ordered.has(record.id.toString()))
      fail(`node ${machine} has ${nameOf(record)} with a cosignature, and it never was the head of its witness`)
  }

  const amountsOf = ({ agent, orders }: Pick<Checkpoint, 'agent' | 'orders'>, lastOrder: number) => {
    let [funds, last] = [0n, lastOrder]
    for (const bytes of orders) {
      const { order } = decodeOrder(bytes)
      if (order.n <= last) fail(`${short(agent)} obeyed order ${order.n} twice`)
      last = Math.max(last, order.n)
      if (order.kind !== 'fund') continue
      funds += order.amount
      if (issued.get(agent)?.has(order.amount) !== true) fail(`${short(agent)} got ${order.amount} microcents that nobody gave`)
    }
    return { funds, lastOrder: last }
  }

  const follow = (before: Purse, record: LineageRecord): Purse => {
    const { body } = record
    if (body.kind === 'accept') {
      const left = before.initial + before.funds - before.cost
      if (body.budget !== left) fail(`${nameOf(record)} goes on with ${body.budget} microcents for ${left}`)
      return { ...before, price: body.price, since: { fuel: before.fuel, cost: before.cost } }
    }
    if (!isProgress(body)) return before
    const { funds, lastOrder } = amountsOf(body, before.lastOrder)
    const after = { ...before, funds: before.funds + funds, lastOrder, fuel: body.fuel, cost: body.cost }
    const owed = before.since.cost + costOf(body.fuel - before.since.fuel, before.price)
    if (body.cost !== owed) fail(`${nameOf(record)} bills ${body.cost} microcents for ${owed}`)
    if (body.budget + body.cost !== after.initial + after.funds)
      fail(`${nameOf(record)}: ${body.budget} left and ${body.cost} spent of ${after.initial + after.funds}`)
    if (body.budget < 0n) fail(`${nameOf(record)} has a budget below zero`)
    return after
  }

  const count = (record: LineageRecord): void => {
    const { id, body } = record
    if (purses.has(id.toString())) return
    if (body.kind === 'genesis') {
      const since = { fuel: 0n, cost: 0n }
      const { budget: initial, price } = body
      purses.set(id.toString(), { initial, funds: 0n, lastOrder: 0, fuel: 0n, cost: 0n, price, since })
      return
    }
    const before = body.prev === null ? undefined : purses.get(body.prev.toString())
    if (before === undefined) return
    look('the budget is conserved')
    purses.set(id.toString(), follow(before, record))
  }

  return {
    join: (peer, machine) => {
      if (!machines.has(peer)) machines.set(peer, machine)
    },
    distrust: (machine) => void liars.add(machine),
    honest: (machine) => !liars.has(machine),
    isSpoiled: (agent) => spoiled.has(agent),
    forgot: (machine) => void forgetful.add(machine),
    convicted: (machine, bytes) => {
      look('proofs verify')
      const { signer, agent } = readForkProof(bytes)
      const culprit = machines.get(signer)
      if (culprit !== undefined && liars.has(culprit)) look('liars are convicted')
      // An owner who asks for the agent at two nodes signs twice, and convicts no node.
      const may = culprit === undefined ? signer === agent : liars.has(culprit) || forgetful.has(culprit) || isForked(agent)
      if (!may)
        fail(`node ${machine} holds a proof against ${culprit === undefined ? signer : `node ${culprit}`}, which is honest`)
    },
    accused: (machine, signer) => {
      const culprit = machines.get(signer)
      look('the guilty are guilty')
      if (culprit === undefined || !liars.has(culprit))
        fail(`node ${machine} says that node ${culprit ?? '?'} lied, which is honest`)
    },
    wrote: (machine, record) => {
      checkMade(machine, record)
      cosigned(machine, record)
      if (!liars.has(machine)) count(record)
    },
    head: (agent, { epoch, seq, id }) => {
      ordered.add(id.toString())
      look('one order of records')
      const slot = `${agent} ${epoch} ${seq}`
      const top = tops.get(agent)
      tops.set(agent, { epoch, seq })
      if (!isForked(agent)) {
        if ((slots.get(slot) ?? id.toString()) !== id.toString())
          fail(`the witness of ${short(agent)} cosigned two records in slot ${epoch}/${seq}`)
        if (top !== undefined && (epoch < top.epoch || (epoch === top.epoch && seq < top.seq)))
          fail(`the witness of ${short(agent)} went back from ${top.epoch}/${top.seq} to ${epoch}/${seq}`)
      }
      slots.set(slot, id.toString())
    },
    isOrdered: (agent) => tops.has(agent),
    cosigned,
    funds: (agent, amount) => void issued.set(agent, (issued.get(agent) ?? new Set()).add(amount)),
    funded: (agent, amount) => void paid.set(agent, (paid.get(agent) ?? 0n) + amount),
    unpaid: (agent, head) => {
      look('no money is lost')
      const has = purses.get(head)?.funds
      const should = paid.get(agent) ?? 0n
      return has === undefined || has >= should ? 0n : should - has
    },
  }
}
