/**
 * `/metrics`: Prometheus' text format, version 0.0.4.
 *
 * @module
 */
import type { AgentState, LinkKind, Node } from '@igor/core'

const STATES: readonly AgentState[] = ['active', 'moving', 'halted', 'faulted', 'exhausted', 'paused', 'moved', 'retired']
const LINKS: readonly (LinkKind | 'none')[] = ['webrtc', 'websocket', 'tcp', 'relayed', 'none']

export interface Metrics {
  text(): Promise<string>
  stop(): void
}

/** Counts from now on. */
export function createMetrics(node: Node, started: number): Metrics {
  const seen = new Map<string, number>()
  let ticks = 0
  let moves = 0
  const lastMoves = new Map<string, number>()

  // Sums of ticks would fall when an agent leaves; a counter may not.
  const count = (): void => {
    const here = node.agents().filter((status) => status.here)
    for (const { agent, tick, lastMove } of here) {
      const before = seen.get(agent)
      if (before !== undefined && tick > before) ticks += tick - before
      seen.set(agent, tick)
      if (lastMove !== undefined && lastMove.to === node.id && lastMoves.get(agent) !== lastMove.tick) {
        lastMoves.set(agent, lastMove.tick)
        moves++
      }
    }
    const names = new Set(here.map((status) => status.agent))
    for (const map of [seen, lastMoves]) for (const agent of map.keys()) if (!names.has(agent)) map.delete(agent)
  }
  count()
  const unsubscribe = node.onchange(count)

  return {
    async text() {
      count()
      const agents = node.agents().filter((status) => status.resided)
      const peers = node.peers()
      const usage = await node.usage()
      const lines: string[] = []
      const metric = (
        name: string,
        type: 'counter' | 'gauge',
        help: string,
        samples: readonly (readonly [labels: string, value: number])[],
      ): void => {
        lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
        for (const [labels, value] of samples) lines.push(`${name}${labels} ${value}`)
      }
      metric('igor_ticks_total', 'counter', 'Ticks that agents completed on this node since it started.', [['', ticks]])
      metric('igor_arrivals_total', 'counter', 'Agents that moved here since the node started.', [['', moves]])
      metric(
        'igor_agents',
        'gauge',
        'Agents that live or lived here, by state.',
        STATES.map((state) => [`{state="${state}"}`, agents.filter((status) => status.state === state).length]),
      )
      metric(
        'igor_peers',
        'gauge',
        'Nodes in sight, by the best connection to them.',
        LINKS.map((link) => [`{link="${link}"}`, peers.filter((peer) => peer.link === link).length]),
      )
      metric('igor_store_bytes', 'gauge', 'Bytes that the data folder takes.', [['', usage.used]])
      if (usage.quota !== undefined) metric('igor_store_quota_bytes', 'gauge', 'Bytes that it may take.', [['', usage.quota]])
      metric('process_start_time_seconds', 'gauge', 'When the node started, Unix time.', [['', started / 1000]])
      metric('process_resident_memory_bytes', 'gauge', 'Memory of the process.', [['', process.memoryUsage.rss()]])
      return `${lines.join('\n')}\n`
    },
    stop: unsubscribe,
  }
}
