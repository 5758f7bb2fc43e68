/** @module */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type CommonOptions, contextOf, defineNodeCommand } from '../command.ts'
import { usageError } from '../failure.ts'
import { type Io, type Output, safe } from '../output.ts'
import { LOOPBACK } from '../page/server.ts'
import {
  DEFAULT_PORT,
  type IceServer,
  parseCount,
  parseIceServer,
  parseKeep,
  parseLease,
  parsePeer,
  parsePort,
  parsePrice,
} from '../up/options.ts'
import type { Up, UpOptions } from '../up/start.ts'

interface Options extends CommonOptions {
  readonly headless?: boolean
  readonly host: string
  readonly port: number
  readonly name?: string
  readonly maxAgents?: number
  readonly witness?: boolean
  readonly witnessStore?: string
  readonly witnessLease?: number
  readonly price?: bigint
  readonly keep?: number | 'all'
  readonly allow?: readonly string[]
  readonly replay?: 'off' | 'on-handoff' | 'full'
  readonly relay?: readonly string[]
  readonly announce?: readonly string[]
  readonly iceServer?: readonly IceServer[]
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly behindProxy?: boolean
}

export function upCommand(io: Io): Command {
  return defineNodeCommand(io, 'up', 'start a node: host, relay, and web server of the page; until Ctrl-C or igor down', [
    'up',
    'up --headless --data-dir /srv/igor --host 0.0.0.0 --max-agents 50',
    'up --host 0.0.0.0 --tls-cert fullchain.pem --tls-key key.pem',
    'up --port 0 --data-dir "$(mktemp -d)" --json',
  ])
    .option('--headless', 'without the page; /healthz, /metrics and /node.json remain')
    .option('--host <address>', 'where page and node listen; pages need TLS on anything but localhost', LOOPBACK)
    .option(
      '--port <port>',
      'of the page; the node takes the three after it (TCP, WebSocket, UDP); 0: free ones',
      read(parsePort),
      DEFAULT_PORT,
    )
    .option('--name <name>', 'what others see (default: made from the peer id)')
    .option('--max-agents <count>', 'agents hosted at a time (default: 100)', read(parseCount))
    .option('--witness', 'order the histories of agents that name this node as their witness (default: unless --headless)')
    .option('--no-witness', 'serve no witness')
    .option(
      '--witness-store <url>',
      'keep them in etcd, etcd://host:port[,host:port]: every node with the same one serves one witness',
    )
    .option(
      '--witness-lease <seconds>',
      'how long the host of such an agent may be silent before it goes on elsewhere, 1 to 60 (default: 15)',
      read(parseLease),
    )
    .option('--price <amount>', 'per second of nominal execution, such as 0.25 (default: 0)', read(parsePrice))
    .option('--keep <count>', 'states kept of each agent, with their journals; all: for ever (default: 16)', read(parseKeep))
    .addOption(
      new Option(
        '--replay <mode>',
        'ticks run again before an agent is taken in: none, those that led to its last states, or all that its host keeps (default: on-handoff)',
      ).choices(['off', 'on-handoff', 'full']),
    )
    .option('--allow <peer...>', "take only these peers' agents (default: everyone's)", collect(parsePeer))
    .option('--relay <multiaddr...>', 'nodes to stay connected to')
    .option('--announce <multiaddr...>', 'where others reach this node, when it stands behind a NAT or a proxy')
    .option(
      '--ice-server <url...>',
      'STUN or TURN server, such as stun:example.org:3478 (default: none)',
      collect(parseIceServer),
    )
    .option('--tls-cert <file>', 'serve the page by HTTPS with this certificate (PEM)')
    .option('--tls-key <file>', 'its key (PEM)')
    .option('--behind-proxy', 'believe X-Forwarded-Proto: a proxy in front ends TLS')
    .action(async (options: Options) => {
      const context = contextOf(io, options)
      // Loaded when it is needed: the other commands start without libp2p.
      const { startUp } = await import('../up/start.ts')
      const up = await startUp(upOptions(options, context.dataDir, io, context.output))
      announce(up, options, context.dataDir, context.output)
      if (!io.signal.aborted) {
        const interrupted = Promise.withResolvers<void>()
        io.signal.addEventListener('abort', () => interrupted.resolve(), { once: true })
        await Promise.race([interrupted.promise, up.stopped])
      }
      if (io.signal.aborted && !context.output.json) context.output.note('stopping (again to force)')
      await up.stop()
    })
}

function read<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message)
    }
  }
}

function collect<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before = []) => [...before, read(parse)(text)]
}

function upOptions(options: Options, dataDir: string, io: Io, output: Output): UpOptions {
  const { tlsCert, tlsKey } = options
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw usageError('--tls-cert and --tls-key go together: see igor up --help')
  return {
    dataDir,
    host: options.host,
    port: options.port,
    headless: options.headless === true,
    behindProxy: options.behindProxy === true,
    ...(options.name === undefined ? {} : { name: options.name }),
    policy: {
      ...(options.maxAgents === undefined ? {} : { maxAgents: options.maxAgents }),
      ...(options.price === undefined ? {} : { price: options.price }),
      ...(options.keep === undefined ? {} : { keep: options.keep }),
      ...(options.allow === undefined ? {} : { allow: options.allow }),
      ...(options.replay === undefined ? {} : { replay: options.replay }),
    },
    witness: options.witness ?? (options.witnessStore !== undefined || options.headless !== true),
    ...(options.witnessStore === undefined ? {} : { witnessStore: options.witnessStore }),
    ...(options.witnessLease === undefined ? {} : { witnessLeaseMs: options.witnessLease }),
    relays: options.relay ?? [],
    ...(options.announce === undefined ? {} : { announce: options.announce }),
    iceServers: options.iceServer ?? [],
    ...(tlsCert === undefined || tlsKey === undefined ? {} : { tls: { cert: tlsCert, key: tlsKey } }),
    onevent: ({ level, message }) => {
      if (level !== 'info' || io.env.IGOR_DEBUG) output.note(`igor: ${level === 'info' ? '' : `${level}: `}${safe(message)}`)
    },
    signal: io.signal,
  }
}

function announce(up: Up, options: Options, dataDir: string, output: Output): void {
  const { node, url } = up
  output.result({ peerId: node.id, url, multiaddrs: node.multiaddrs, name: node.name, dataDir, pid: process.pid }, () => {
    const lines = [`${output.paint('bold', safe(node.name))} is up.`, '']
    if (options.headless === true) lines.push(`  health     ${url}healthz`)
    else lines.push(`  page       ${output.paint(['bold', 'cyan'], url)}${up.hasPage ? '' : '  (not built: npm run build)'}`)
    lines.push(`  peer id    ${node.id}`)
    lines.push(...node.multiaddrs.map((multiaddr, i) => `  ${i === 0 ? 'addresses ' : '          '} ${multiaddr}`))
    lines.push(`  data       ${dataDir}`, '', 'Ctrl-C stops it; its agents rest until it is up again.')
    return lines.join('\n')
  })
}
