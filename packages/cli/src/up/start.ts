/**
 * `igor up`: a node, its page and its control socket, in one process.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Node, NodeEvent, NodePolicy } from '@igor/core'
import { createNode, openSharedWitness } from '@igor/nodejs'
import { isRunning } from '../control/client.ts'
import { readPlace } from '../control/place.ts'
import { openControl } from '../control/server.ts'
import { prepareDataDir } from '../data-dir.ts'
import { CommandError, codeOf } from '../failure.ts'
import { readPage } from '../page/files.ts'
import type { Host } from '../page/headers.ts'
import { type NodeDescription, openPage } from '../page/server.ts'
import { VERSION } from '../version.ts'
import { createCalls, createStreams } from './handlers.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { type IceServer, nodePorts } from './options.ts'

export interface UpOptions {
  readonly dataDir: string
  readonly host: string
  readonly port: number
  readonly headless: boolean
  readonly name?: string
  readonly policy: NodePolicy
  /** Serves as a witness. */
  readonly witness: boolean
  /** `etcd://host:port`, for a witness that several nodes serve. */
  readonly witnessStore?: string
  /** Of the leases that the witness grants. */
  readonly witnessLeaseMs?: number
  readonly relays: readonly string[]
  readonly announce?: readonly string[]
  readonly iceServers: readonly IceServer[]
  /** Paths of PEM files. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly behindProxy: boolean
  /** What an operator should read. */
  readonly onevent: (event: Pick<NodeEvent, 'level' | 'message'>) => void
  readonly signal: AbortSignal
}

export interface Up {
  readonly node: Node
  /** Of the page, or of `/healthz` and `/metrics` where there is no page. */
  readonly url: string
  /** False when the page was not built. */
  readonly hasPage: boolean
  /** Resolves when it has stopped, by itself or by `igor down`. */
  readonly stopped: Promise<void>
  stop(): Promise<void>
}

/**
 * Starts everything, or nothing.
 *
 * @throws CommandError PORT_BUSY, BAD_DATA_DIR, BAD_CERTIFICATE, STORE_BUSY, or what the node says
 */
export async function startUp(options: UpOptions): Promise<Up> {
  const { dataDir, signal } = options
  const warning = await prepareDataDir(dataDir)
  if (warning !== undefined) options.onevent({ level: 'warn', message: warning })
  await refuseSecond(dataDir, signal)

  // What is open, to be closed in reverse.
  const open: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (let undo = open.pop(); undo !== undefined; undo = open.pop()) await undo()
  }
  try {
    return await assemble(options, open, close)
  } catch (error) {
    await close().catch(() => undefined)
    throw error
  }
}

async function assemble(options: UpOptions, open: (() => unknown)[], close: () => Promise<void>): Promise<Up> {
  const { dataDir } = options
  let running: { node: Node; metrics: Metrics } | undefined
  const files = options.headless ? 'headless' : await readPage(pageFolder())
  const page = await openPage({
    host: options.host,
    port: options.port,
    ...(options.tls === undefined ? {} : { tls: await readTls(options.tls) }),
    behindProxy: options.behindProxy,
    files,
    node: (host, secure) => (running === undefined ? undefined : describe(running.node, options, host, secure)),
    metrics: async () => running?.metrics.text(),
    release: async (words) => running?.node.release(words) ?? false,
    webSocketPort: () => (running === undefined ? undefined : webSocketPort(running.node)),
  })
  open.push(() => page.close())

  const node = await makeNode(options)
  open.push(() => node.stop())
  open.push(node.onevent(options.onevent))
  const started = Date.now()
  const metrics = createMetrics(node, started)
  open.push(metrics.stop)
  running = { node, metrics }

  const nodeStopped = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  const stopNode = (): Promise<void> => {
    stopping ??= node.stop().finally(nodeStopped.resolve)
    return stopping
  }
  const info = { dataDir, pid: process.pid, version: VERSION, started, ...(files === 'headless' ? {} : { url: page.url }) }
  const control = await openControl({
    dataDir,
    calls: createCalls({ node, info, stop: stopNode }),
    streams: createStreams({ node }),
  })
  open.push(() => control.close())

  const stopped = nodeStopped.promise.then(close)
  return {
    node,
    url: page.url,
    hasPage: files !== undefined && files !== 'headless',
    stopped,
    async stop() {
      await stopNode()
      await stopped
    },
  }
}

/** The store's lock is what counts; this says it better, and before the port is found busy. */
async function refuseSecond(dataDir: string, signal: AbortSignal): Promise<void> {
  if (!(await isRunning(dataDir, signal))) return
  const place = await readPlace(dataDir)
  throw new CommandError(
    'STORE_BUSY',
    `a node already runs in ${dataDir} (process ${place?.pid}): igor down, or name another folder with --data-dir`,
  )
}

async function makeNode(options: UpOptions): Promise<Node> {
  const { witnessStore, witnessLeaseMs } = options
  const shared = witnessStore === undefined ? undefined : await openSharedWitness(witnessStore)
  const { dataDir, name, policy, relays, announce, iceServers, host, port, onevent } = options
  try {
    return await createNode({
      dataDir,
      listen: { host, ...nodePorts(port) },
      policy,
      witness: options.witness && {
        ...(shared === undefined ? {} : { shared }),
        ...(witnessLeaseMs === undefined ? {} : { leaseMs: witnessLeaseMs }),
      },
      relays,
      iceServers,
      onwarning: ({ message }) => onevent({ level: 'warn', message }),
      ...(name === undefined ? {} : { name }),
      ...(announce === undefined ? {} : { announce }),
    })
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') {
      const { tcp, ws, webrtc } = nodePorts(port)
      throw new CommandError(
        'PORT_BUSY',
        `one of the ports ${tcp} (TCP), ${ws} (WebSocket), ${webrtc} (UDP) is busy: stop what uses it, or choose another --port`,
        {
          cause: error,
        },
      )
    }
    throw error
  }
}

/** The built page lies in the package, beside src and dist. */
function pageFolder(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'page')
}

async function readTls({ cert, key }: { cert: string; key: string }): Promise<{ cert: Buffer; key: Buffer }> {
  const read = (file: string): Promise<Buffer> =>
    readFile(resolve(file)).catch((error: unknown) => {
      throw new CommandError('BAD_CERTIFICATE', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
    })
  return { cert: await read(cert), key: await read(key) }
}

/** `/ip4/…/tcp/4749/ws/p2p/…` */
const WEBSOCKET = /\/tcp\/(\d+)\/ws(\/|$)/

function webSocketPort(node: Node): number | undefined {
  for (const multiaddr of node.multiaddrs) {
    const port = WEBSOCKET.exec(multiaddr)?.[1]
    if (port !== undefined) return Number(port)
  }
  return undefined
}

function describe(node: Node, options: UpOptions, host: Host, secure: boolean): NodeDescription {
  const addresses = [...node.multiaddrs]
  if (secure) addresses.unshift(secureAddress(host, node.id))
  return {
    peerId: node.id,
    name: node.name,
    multiaddrs: addresses,
    iceServers: options.iceServers,
    witness: node.witness ?? null,
  }
}

/** Where a URL names no port. */
const HTTPS_PORT = 443

/** The WebSocket on the page's own port, by the name that the browser used. */
function secureAddress(host: Host, id: string): string {
  const bare = host.name.replace(/^\[|\]$/g, '')
  const kind = bare.includes(':') ? 'ip6' : /^[\d.]+$/.test(bare) ? 'ip4' : 'dns'
  return `/${kind}/${bare}/tcp/${host.port === '' ? HTTPS_PORT : host.port.slice(1)}/tls/ws/p2p/${id}`
}
