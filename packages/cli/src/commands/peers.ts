/** @module */
import type { Peer } from '@igor/core'
import type { Command } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { milliseconds, money, span } from '../format.ts'
import { type Io, safe, table } from '../output.ts'

interface Options extends CommonOptions {
  readonly connect?: string
}

export function peersCommand(io: Io): Command {
  return defineNodeCommand(io, 'peers', 'list the nodes in sight, and how they are connected', [
    'peers',
    'peers --connect /ip4/192.0.2.7/tcp/4748/p2p/12D3Koo…',
  ])
    .option('--connect <multiaddr>', 'connect to a node first')
    .action(async (options: Options) => {
      const { node, output } = contextOf(io, options)
      if (options.connect !== undefined) await node.call('connect', { multiaddr: options.connect })
      const peers = await node.call('peers', {})
      output.result(peers, () => describe(peers))
    })
}

function describe(peers: readonly Peer[]): string {
  if (peers.length === 0) return 'no other node in sight: open the page, or igor peers --connect MULTIADDR'
  const rows = peers.map((peer) => [
    safe(peer.name),
    peer.kind,
    peer.link === 'none' ? 'not connected' : peer.link,
    peer.rtt === undefined ? '-' : milliseconds(peer.rtt),
    String(peer.agents),
    String(peer.room),
    money(peer.price),
    span(Date.now() - peer.seen),
    peer.id,
    peer.forked === true ? 'signed two histories of an agent: igor proofs' : '',
  ])
  return table([['NAME', 'KIND', 'LINK', 'RTT', 'AGENTS', 'ROOM', 'PRICE', 'SEEN', 'PEER', ''], ...rows])
}
