/**
 * Who else is there: presence heard and said, and a direct connection to each of them.
 *
 * @module
 */
import { type Context, nowMs } from '../agent/context.ts'
import type { Peer } from '../api.ts'
import { decodeSaid, encodeSaid, PRESENCE_TOPIC, type Said, type SaidAgent } from '../protocols/presence.ts'

/** A new node is seen within 5 s even if its first word is lost. */
const SAY_MS = 2000
/** Changes are told soon, but not one by one. */
const SAY_SOON_MS = 200
/** Three words missed and no connection: gone. */
const GONE_MS = 7000
/** Peers remembered at a time: more is a flood. */
const MAX_PEERS = 256
/** Doubts remembered, one a peer and agent. */
const MAX_DOUBTS = 1000
/** Direct connections that this node opens by itself. */
const MAX_DIRECT = 24
/** Before dialling again a peer that could not be reached. */
const REDIAL_MS = 10_000
/** The peer with the greater id waits this long for the other to dial, so that both do not at once. */
const POLITE_MS = 3000

export interface Peers {
  /** Everyone heard of lately or connected. */
  list(): readonly Peer[]
  /** The latest word of each peer. */
  said(): readonly Said[]
  /** Where an agent lives by the freshest word; undefined: nobody says. */
  hostOf(agent: string): { readonly peer: string; readonly said: SaidAgent; readonly ageMs: number } | undefined
  /** Its word about this agent was found wrong (for ever), or cannot be checked now: others are asked first. */
  distrust(agent: string, peer: string, forMs: number): void
  addresses(peer: string): readonly string[]
  /** Who says that it serves this witness. */
  servers(witness: string): readonly { readonly peer: string; readonly addresses: readonly string[] }[]
  /** Begins to say what this node is. */
  start(): void
  /** Something to say changed. */
  changed(): void
  close(): Promise<void>
}

interface Heard {
  readonly said: Said
  readonly at: number
  readonly seen: number
}

interface Claim {
  readonly said: SaidAgent
  readonly doubt: boolean
}

/** Whom to ask first: who is not doubted, then the later record. */
const isBetter = (a: Claim, b: Claim): boolean => {
  if (a.doubt !== b.doubt) return b.doubt
  return a.said.epoch > b.said.epoch || (a.said.epoch === b.said.epoch && a.said.seq > b.said.seq)
}

export const openPeers = (
  context: Context,
  self: () => Omit<Said, 'peer' | 'leaving'>,
  onchange: (said?: Said) => void,
): Peers => {
  const { clock, network, signal } = context
  const heard = new Map<string, Heard>()
  /** Until when (`elapsed`) a peer's word about an agent is doubted. */
  const doubts = new Map<string, number>()
  const dialled = new Map<string, number>()
  const dialling = new Set<string>()
  let nudge = new AbortController()

  const say = async (leaving: boolean): Promise<void> => {
    await network.publish(PRESENCE_TOPIC, encodeSaid({ ...self(), leaving })).catch((error) => {
      if (!signal.aborted)
        context.report({ level: 'warn', code: 'PRESENCE', message: `others cannot be told of this node: ${String(error)}` })
    })
  }

  const unsubscribe = network.subscribe(PRESENCE_TOPIC, (message, from) => {
    if (from === context.peer) return
    try {
      const said = decodeSaid(from, message)
      const known = heard.has(from)
      if (!known && heard.size >= MAX_PEERS) makeRoom()
      if (said.leaving) heard.delete(from)
      else heard.set(from, { said, at: clock.elapsed(), seen: nowMs(clock) })
      // A newcomer has not heard this node yet.
      if (!known && !said.leaving) changed()
      onchange(said)
    } catch (error) {
      context.report({ level: 'warn', code: 'PROTOCOL_VIOLATION', peer: from, message: String(error) })
    }
  })

  /** The one that was silent longest goes, but nobody who is connected: whoever is really there is heard again. */
  const makeRoom = (): void => {
    const linked = new Set(network.links().map((link) => link.peer))
    const [oldest] = [...heard].filter(([peer]) => !linked.has(peer)).sort(([, a], [, b]) => a.at - b.at)
    if (oldest !== undefined) heard.delete(oldest[0])
  }

  const isDirect = (peer: string): boolean => network.links().some((link) => link.peer === peer && link.direct)

  const dial = async (peer: string): Promise<void> => {
    dialling.add(peer)
    dialled.set(peer, clock.elapsed())
    try {
      for (const address of heard.get(peer)?.said.addresses ?? []) {
        if (isDirect(peer) || signal.aborted) return
        await network.connect(address, signal).catch(() => {})
      }
    } finally {
      dialling.delete(peer)
      onchange()
    }
  }

  const dialMissing = (): void => {
    const now = clock.elapsed()
    const direct = network.links().filter((link) => link.direct).length
    for (const [peer, { at, said }] of heard) {
      const last = dialled.get(peer)
      const first = last === undefined
      if (direct + dialling.size >= MAX_DIRECT || isDirect(peer) || dialling.has(peer)) continue
      if (!first && now - last < REDIAL_MS) continue
      if (first && context.peer > peer && said.kind === 'tab') {
        dialled.set(peer, now - REDIAL_MS + POLITE_MS)
        continue
      }
      if (now - at < GONE_MS) void dial(peer)
    }
  }

  const forget = (): void => {
    const linked = new Set(network.links().map((link) => link.peer))
    for (const [peer, { at }] of heard) {
      if (clock.elapsed() - at > GONE_MS && !linked.has(peer)) {
        heard.delete(peer)
        dialled.delete(peer)
        onchange()
      }
    }
  }

  const changed = (): void => nudge.abort()

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      if (nudge.signal.aborted) {
        nudge = new AbortController()
        await clock.sleep(SAY_SOON_MS, signal).catch(() => {})
      }
      if (signal.aborted) return
      await say(false)
      forget()
      dialMissing()
      await clock.sleep(SAY_MS, nudge.signal).catch(() => {})
    }
  }
  const stop = (): void => nudge.abort()
  signal.addEventListener('abort', stop)
  const unlisten = network.onchange(() => {
    changed()
    onchange()
  })
  let running: Promise<void> | undefined

  return {
    list: () => {
      const links = new Map(network.links().map((link) => [link.peer, link]))
      const ids = new Set([...heard.keys(), ...links.keys()])
      return [...ids].flatMap((id): Peer[] => {
        const known = heard.get(id)
        const link = links.get(id)
        if (known === undefined) return []
        const { said, seen } = known
        return [
          {
            id,
            name: said.name,
            kind: said.kind,
            link: link?.kind ?? 'none',
            ...(link?.rtt === undefined ? {} : { rtt: link.rtt }),
            price: said.price,
            room: said.room,
            agents: said.agents.filter((one) => one.state !== 'moved' && one.state !== 'retired').length,
            seen,
          },
        ]
      })
    },
    said: () => [...heard.values()].map(({ said }) => said),
    hostOf: (agent) => {
      let best: { peer: string; said: SaidAgent; doubt: boolean; ageMs: number } | undefined
      for (const { said, at } of heard.values()) {
        for (const one of said.agents) {
          const doubt = doubts.get(`${said.peer} ${agent}`)
          if (one.agent !== agent || one.state === 'moved' || doubt === Number.POSITIVE_INFINITY) continue
          const now = clock.elapsed()
          const next = { peer: said.peer, said: one, doubt: doubt !== undefined && doubt > now, ageMs: now - at }
          if (best === undefined || isBetter(next, best)) best = next
        }
      }
      return best
    },
    distrust: (agent, peer, forMs) => {
      if (doubts.size >= MAX_DOUBTS) doubts.clear()
      doubts.set(`${peer} ${agent}`, clock.elapsed() + forMs)
    },
    servers: (witness) =>
      [...heard.values()].flatMap(({ said }) =>
        said.witness === witness ? [{ peer: said.peer, addresses: said.addresses }] : [],
      ),
    addresses: (peer) => heard.get(peer)?.said.addresses ?? [],
    start: () => {
      running ??= loop()
    },
    changed,
    close: async () => {
      unsubscribe()
      unlisten()
      signal.removeEventListener('abort', stop)
      await running
      // A clean stop is seen at once.
      await say(true)
    },
  }
}
