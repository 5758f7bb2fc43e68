/**
 * The handoff and the witness's lease as a model small enough to look at every interleaving: two hosts, one witness, two
 * messages in flight, each of which may be lost, repeated and overtaken, one crash each (docs/design.md, sections 6 and 7).
 * Left out are blocks, prices, signatures: what is signed is taken to be genuine.
 *
 * @module
 */
import type { Model } from './explore.ts'

/** Units of time that a lease lasts. */
const LEASE = 1
const IN_FLIGHT = 2
/** Handoffs, and times that a lease is asked for: each is a round of the same. */
const MAX_EPOCH = 3
const MAX_ASKS = 1

/** Faults that can be planted in the model. */
export type ModelFault =
  | 'accept sent before it is durable'
  | 'refusal is a mere message'
  | 'handoff not durable'
  | 'lease counted from the answer'
  | 'takeover right after a restart'
  | 'head not durable before the cosignature'
  | 'a head is moved without looking at it'

type Host = 'a' | 'b'
type Who = Host | 'w'

/** What a host's disk says, and since which epoch. */
interface Disk {
  readonly state: 'none' | 'active' | 'pending' | 'retired' | 'refused'
  readonly epoch: number
  /** Epochs that it accepted: it is asked about them for ever. */
  readonly accepted: readonly number[]
}

interface HostState {
  readonly disk: Disk
  /** What the process believes; differs from the disk in what is written and not synced. */
  readonly mind: Disk
  /** Of its lease, as it counts; without a witness it has no end. */
  readonly lease: number
  /** Units since it asked for its lease, and which asking that was. */
  readonly asked: number
  readonly ask: number
  readonly crashes: number
}

interface Message {
  readonly kind: 'commit' | 'done' | 'submit' | 'cosigned' | 'renew' | 'renewed' | 'grant'
  readonly to: Who
  readonly from: Who
  readonly epoch: number
  /** Of `submit` and `cosigned`: what record; of `done`: the decision; of `renew`: which asking. */
  readonly what: string | number
}

interface Witness {
  /** The head: a record, its epoch, and who made it or (of a handoff or recover) whom it is for. */
  readonly head: string
  readonly disk: string
  readonly lease: number
  readonly holder: Host | null
  readonly crashes: number
  readonly recovers: number
}

interface State {
  readonly a: HostState
  readonly b: HostState
  readonly w: Witness | null
  readonly net: readonly Message[]
  /** Records that were ever cosigned, in order of their slots. */
  readonly seen: readonly string[]
}

export interface ModelOptions {
  readonly witness: boolean
  readonly fault?: ModelFault
}

const other = (host: Host): Host => (host === 'a' ? 'b' : 'a')
/** `h2b`: a handoff that makes epoch 2 for b; `x2b`: b's accept of it; `r2b`: b's refuse; `v2b`: a recover to b. */
const record = (kind: 'h' | 'x' | 'r' | 'v', epoch: number, host: Host): string => `${kind}${epoch}${host}`
const epochOf = (head: string): number => Number(head[1])

export const createModel = ({ witness, fault }: ModelOptions): Model<State> => {
  const host = (state: Disk['state'], epoch: number, lease: number): HostState => {
    const disk: Disk = { state, epoch, accepted: [] }
    return { disk, mind: disk, lease, asked: 0, ask: 0, crashes: 0 }
  }
  const lease = witness ? LEASE : 0
  const head = record('x', 1, 'a')
  const start: State = {
    a: host('active', 1, lease),
    b: host('none', 0, 0),
    w: witness ? { head, disk: head, lease, holder: 'a', crashes: 0, recovers: 0 } : null,
    net: [],
    seen: witness ? [head] : [],
  }

  const send = (state: State, ...messages: readonly Message[]): State | undefined =>
    state.net.length + messages.length > IN_FLIGHT ? undefined : { ...state, net: [...state.net, ...messages] }
  const set = (state: State, name: Host, change: Partial<HostState>): State => ({
    ...state,
    [name]: { ...state[name], ...change },
  })
  const write = (state: State, name: Host, disk: Disk, durable = true): State =>
    set(state, name, durable ? { disk, mind: disk } : { mind: disk })

  /** May advance the agent now, and show what comes of it. */
  const ticks = ({ mind, lease: left }: HostState): boolean => mind.state === 'active' && (!witness || left > 0)

  const decide = (state: State, me: Host, epoch: number, accepts: boolean): State => {
    const kind = accepts ? 'active' : 'refused'
    const durable = accepts ? fault !== 'accept sent before it is durable' : fault !== 'refusal is a mere message'
    // With a witness the accept counts when it is cosigned: until then the host does not tick.
    const accepted = accepts ? [...state[me].mind.accepted, epoch] : state[me].mind.accepted
    const next = write(state, me, { state: kind, epoch, accepted }, durable)
    return fault === 'refusal is a mere message' && !accepts ? set(next, me, { mind: state[me].mind }) : next
  }

  /** What a host does with a message. */
  const hear = (state: State, me: Host, message: Message): (State | undefined)[] => {
    const { mind } = state[me]
    const { kind, from, epoch } = message
    const reply = (to: Who, what: Message['kind'], more: Message['what']): Message => ({
      kind: what,
      to,
      from: me,
      epoch,
      what: more,
    })
    if (kind === 'commit') {
      const decision = mind.accepted.includes(epoch)
        ? 'accept'
        : mind.epoch === epoch && mind.state === 'refused'
          ? 'refuse'
          : undefined
      const tell = (next: State, what: string): State | undefined =>
        witness
          ? send(next, reply('w', 'submit', record(what === 'accept' ? 'x' : 'r', epoch, me)))
          : send(next, reply(from, 'done', what))
      if (decision !== undefined) return [tell(state, decision)]
      // What comes later than its own handoff shows that that was accepted.
      if (mind.epoch >= epoch || mind.state === 'active') return [state]
      return [tell(decide(state, me, epoch, true), 'accept'), tell(decide(state, me, epoch, false), 'refuse')]
    }
    if (kind === 'done' && mind.state === 'pending' && mind.epoch === epoch) {
      return [
        write(
          state,
          me,
          message.what === 'accept' ? { ...mind, state: 'retired' } : { ...mind, state: 'active', epoch: epoch + 1 },
        ),
      ]
    }
    if (kind === 'cosigned') {
      const what = String(message.what)
      const [type, by] = [what[0], what[2] as Host]
      if (mind.state === 'pending' && mind.epoch === epoch && by !== me && type === 'x')
        return [write(state, me, { ...mind, state: 'retired' })]
      // The lease that comes with an accept is counted from when it was sent, which was before this: the least is nothing.
      return [state]
    }
    if (kind === 'grant' && mind.state !== 'active' && mind.epoch < epoch) {
      return [send(decide(state, me, epoch, true), { kind: 'submit', to: 'w', from: me, epoch, what: record('x', epoch, me) })]
    }
    if (kind === 'renewed' && mind.state === 'active' && mind.epoch === epoch && message.what === state[me].ask) {
      const left = fault === 'lease counted from the answer' ? LEASE : Math.max(0, LEASE - state[me].asked)
      return [set(state, me, { lease: Math.max(left, state[me].lease) })]
    }
    return [state]
  }

  const cosign = (state: State, w: Witness, next: string): State => {
    const [kind, by] = [next[0], next[2] as Host]
    const holds = kind === 'x'
    const durable = fault !== 'head not durable before the cosignature'
    return {
      ...state,
      w: { ...w, head: next, disk: durable ? next : w.disk, lease: holds ? LEASE : 0, holder: holds ? by : null },
      seen: state.seen.includes(next) ? state.seen : [...state.seen, next],
    }
  }

  /** Compare-and-swap: only what extends the head. */
  const extend = (state: State, w: Witness, next: string): State | undefined => {
    const [kind, epoch, by] = [next[0], epochOf(next), next[2] as Host]
    if (next === w.head) return state
    const [was, at, whose] = [w.head[0], epochOf(w.head), w.head[2] as Host]
    const fits =
      (kind === 'h' && was === 'x' && epoch === at + 1 && by !== whose) ||
      ((kind === 'x' || kind === 'r') && (was === 'h' || was === 'v') && epoch === at && by === whose) ||
      (kind === 'x' && was === 'r' && epoch === at + 1 && by !== whose)
    if (!fits && !(fault === 'a head is moved without looking at it' && epoch >= at)) return undefined
    return cosign(state, w, next)
  }

  const hearWitness = (state: State, message: Message): (State | undefined)[] => {
    const { w } = state
    if (w === null) return [state]
    const { from, epoch, what } = message
    if (message.kind === 'renew') {
      const right = w.head === record('x', epoch, from as Host)
      if (!right) return [state]
      return [
        send(
          { ...state, w: { ...w, lease: LEASE, holder: from as Host } },
          { kind: 'renewed', to: from, from: 'w', epoch, what },
        ),
      ]
    }
    const next = extend(state, w, String(what))
    if (next === undefined) return [state]
    // Told to both: the source asks the target, then the witness.
    return [send(next, { kind: 'cosigned', to: from, from: 'w', epoch, what })]
  }

  const steps = (state: State): (readonly [string, State | undefined])[] => {
    const all: (readonly [string, State | undefined])[] = []
    const { w } = state
    for (const [i, message] of state.net.entries()) {
      const rest = { ...state, net: state.net.filter((_, j) => j !== i) }
      const name = `${message.kind} ${message.what} of epoch ${message.epoch} from ${message.from} to ${message.to}`
      all.push([`lost: ${name}`, rest])
      const heard = message.to === 'w' ? hearWitness(rest, message) : hear(rest, message.to, message)
      for (const next of heard) all.push([name, next])
      // It comes, and will come again.
      const again = message.to === 'w' ? hearWitness(state, message) : hear(state, message.to, message)
      for (const next of again) all.push([`${name}, not for the last time`, next])
    }
    for (const me of ['a', 'b'] as const) {
      const { mind, disk, crashes, ask } = state[me]
      const you = other(me)
      if (mind !== disk && JSON.stringify(mind) !== JSON.stringify(disk))
        all.push([`${me}'s disk catches up`, set(state, me, { disk: mind })])
      if (mind.state === 'active' && mind.epoch < MAX_EPOCH && (!witness || w?.head === record('x', mind.epoch, me))) {
        const pending: Disk = { ...mind, state: 'pending', epoch: mind.epoch + 1 }
        all.push([`${me} hands over`, write(state, me, pending, fault !== 'handoff not durable')])
      }
      if (mind.state === 'pending') {
        const commit: Message = { kind: 'commit', to: you, from: me, epoch: mind.epoch, what: '' }
        if (!witness) all.push([`${me} asks`, send(state, commit)])
        else if (w?.head === record('h', mind.epoch, you)) all.push([`${me} asks ${you}`, send(state, commit)])
        else if (w?.head === record('x', mind.epoch, you))
          all.push([`${me} asks the witness`, write(state, me, { ...mind, state: 'retired' })])
        else if (w?.head === record('r', mind.epoch, you)) {
          const back: Disk = { ...mind, state: 'active', epoch: mind.epoch + 1 }
          all.push([
            `${me} takes it back`,
            send(write(state, me, back), {
              kind: 'submit',
              to: 'w',
              from: me,
              epoch: back.epoch,
              what: record('x', back.epoch, me),
            }),
          ])
        } else if (w !== null && epochOf(w.head) < mind.epoch) {
          all.push([
            `${me} submits its handoff`,
            send(state, { kind: 'submit', to: 'w', from: me, epoch: mind.epoch, what: record('h', mind.epoch, you) }),
          ])
        } else if (w !== null) all.push([`${me} learns that it was deposed`, write(state, me, { ...mind, state: 'retired' })])
      }
      if (witness && w !== null) {
        const [was, at, whose] = [w.head[0], epochOf(w.head), w.head[2]]
        // After a start, and when its lease has ended, it looks at the head.
        const mine = was === 'x' && at === mind.epoch && whose === me
        const deposed = at > mind.epoch || (at === mind.epoch && was === 'x' && !mine)
        if (mind.state === 'active' && deposed)
          all.push([
            `${me} learns that it was deposed`,
            write(state, me, { ...mind, state: 'retired', epoch: was === 'x' ? at : at - 1 }),
          ])
        if (
          (mind.state === 'active' || mind.state === 'refused') &&
          (was === 'h' || was === 'v') &&
          whose === me &&
          at === mind.epoch
        ) {
          all.push([
            `${me} submits its decision again`,
            send(state, {
              kind: 'submit',
              to: 'w',
              from: me,
              epoch: at,
              what: record(mind.state === 'active' ? 'x' : 'r', at, me),
            }),
          ])
        }
        if (mind.state === 'active' && was === 'r' && at === mind.epoch - 1) {
          all.push([
            `${me} submits its accept again`,
            send(state, { kind: 'submit', to: 'w', from: me, epoch: mind.epoch, what: record('x', mind.epoch, me) }),
          ])
        }
        if (mind.state === 'active' && mine && ask < MAX_ASKS) {
          const next = set(state, me, { ask: ask + 1, asked: 0 })
          all.push([
            `${me} asks for its lease`,
            send(next, { kind: 'renew', to: 'w', from: me, epoch: mind.epoch, what: ask + 1 }),
          ])
        }
        if (was === 'v' && whose === me && mind.epoch < at && mind.state !== 'active')
          all.push([`${me} takes over`, hear(state, me, { kind: 'grant', to: me, from: 'w', epoch: at, what: '' })[0]])
      }
      // What it only believed is gone; its lease is to be asked for again.
      if (crashes === 0)
        all.push([`${me} crashes and starts`, set(state, me, { mind: disk, lease: 0, asked: LEASE, crashes: 1 })])
    }
    if (w !== null) {
      const left = (one: HostState): HostState => ({
        ...one,
        lease: Math.max(0, one.lease - 1),
        asked: Math.min(LEASE, one.asked + 1),
      })
      all.push(['time passes', { ...state, a: left(state.a), b: left(state.b), w: { ...w, lease: Math.max(0, w.lease - 1) } }])
      if (w.crashes === 0) {
        const after = fault === 'takeover right after a restart' ? 0 : LEASE
        all.push(['the witness crashes and starts', { ...state, w: { ...w, head: w.disk, lease: after, crashes: 1 } }])
      }
      const holder = w.head[2] as Host
      if (w.head[0] === 'x' && w.lease === 0 && w.recovers === 0 && epochOf(w.head) < MAX_EPOCH) {
        const next = record('v', epochOf(w.head) + 1, other(holder))
        const moved = cosign(state, w, next)
        all.push([`the witness moves it to ${other(holder)}`, { ...moved, w: { ...(moved.w as Witness), recovers: 1 } }])
      }
    }
    return all
  }

  return {
    start,
    next: (state) => steps(state).flatMap(([what, next]) => (next === undefined ? [] : [[what, next] as const])),
    broken: (state) => {
      if (ticks(state.a) && ticks(state.b)) return 'both tick'
      if (!witness && state.a.disk.state === 'active' && state.b.disk.state === 'active') return 'both own it'
      const slots = state.seen.map((one) => `${one[0] === 'h' || one[0] === 'v' ? 'move' : 'answer'} ${one[1]}`)
      if (new Set(slots).size < slots.length) return `two records in one slot were cosigned: ${state.seen.join(', ')}`
      return undefined
    },
    good: ({ a, b, w }) => {
      const owners = [a, b].filter(({ mind, disk }) => mind.state === 'active' && disk.state === 'active')
      const waits = [a, b].some(({ mind }) => mind.state === 'pending')
      return owners.length === 1 && !waits && (w === null || w.head[0] === 'x')
    },
  }
}
