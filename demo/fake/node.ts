// Stands in for src/node.ts in development: /?scene=NAME
import type { IgorNode } from '../src/api.ts'
import type { Reason } from '../src/ui/blocked.ts'
import { peerId } from './ids.ts'
import { fakeNode, type World } from './world.ts'

const scene = new URLSearchParams(location.search).get('scene') ?? 'first'

const server = {
  id: peerId('granite-heron'),
  name: 'granite-heron',
  kind: 'server',
  link: 'websocket',
  rtt: 2.1,
  room: 96,
} as const
const tab = { id: peerId('coral-finch'), name: 'coral-finch', kind: 'tab', link: 'webrtc', rtt: 1.3, room: 99 } as const
const relayed = {
  id: peerId('misty-ibis'),
  name: 'misty-ibis',
  kind: 'tab',
  link: 'relayed',
  rtt: 64,
  room: 99,
  slow: true,
} as const
const far = {
  id: peerId('olive-stork'),
  name: 'olive-stork',
  kind: 'server',
  link: 'tcp',
  rtt: 231,
  room: 4,
  refuses: 'olive-stork takes no agent with the capability “view”. Choose another island, or ask its operator',
} as const
const away = { id: peerId('quick-raven'), name: 'quick-raven', kind: 'tab', link: 'none', room: 0 } as const

const WORLDS: Record<string, World> = {
  first: { selfName: 'amber-otter', peers: [server], agents: [] },
  alone: { selfName: 'amber-otter', peers: [], agents: [{ name: 'quiet-otter', mind: 'companion', host: 'self', tick: 91 }] },
  three: {
    selfName: 'amber-otter',
    peers: [server, tab],
    agents: [
      { name: 'quiet-otter', mind: 'companion', host: 'self', tick: 412, before: ['coral-finch', 'granite-heron'] },
      { name: 'brave-swan', mind: 'life', host: 'granite-heron', tick: 18_204, before: ['self'] },
      { name: 'kind-puffin', mind: 'watcher', host: 'granite-heron', tick: 2_604, owned: false },
      { name: 'early-lynx', mind: 'heartbeat', host: 'coral-finch', tick: 733, before: ['self', 'granite-heron'] },
    ],
  },
  states: {
    selfName: 'amber-otter',
    peers: [server, tab, away],
    persistent: true,
    agents: [
      { name: 'quiet-otter', mind: 'heartbeat', host: 'self', tick: 412 },
      { name: 'silver-newt', mind: 'heartbeat', host: 'self', tick: 90, state: 'moving' },
      { name: 'plum-tapir', mind: 'watcher', host: 'self', tick: 57, state: 'paused' },
      {
        name: 'golden-toad',
        mind: 'life',
        host: 'granite-heron',
        tick: 5_112,
        state: 'faulted',
        reason: 'Its tick 5,113 trapped five times: unreachable. Send it another message or resume it.',
      },
      {
        name: 'hazel-mole',
        mind: 'watcher',
        host: 'granite-heron',
        tick: 311,
        state: 'exhausted',
        reason: 'Its budget is 0. Fund it to let it go on.',
      },
      {
        name: 'noble-gecko',
        mind: 'heartbeat',
        host: 'coral-finch',
        tick: 1_220,
        state: 'halted',
        reason: 'Two histories claim it from tick 1,180. Only its owner can say which holds: recover it.',
      },
      { name: 'jolly-seal', mind: 'heartbeat', host: 'quick-raven', tick: 640, state: 'moved' },
      { name: 'swift-dolphin', mind: 'silent', host: 'self', tick: 3, state: 'retired' },
    ],
  },
  busy: {
    selfName: 'amber-otter',
    peers: [server, tab, relayed, far, away],
    agents: Array.from({ length: 26 }, (_, i) => ({
      name:
        ['merry', 'lucky', 'vivid', 'early', 'olive', 'proud'][i % 6] +
        '-' +
        ['wren', 'newt', 'toad', 'crane', 'swan'][Math.floor(i / 6)],
      mind: (['heartbeat', 'life', 'watcher', 'companion', 'silent'] as const)[i % 5] ?? 'silent',
      host: ['self', 'granite-heron', 'coral-finch', 'misty-ibis', 'olive-stork', 'granite-heron'][i % 6] ?? 'self',
      tick: 40 + i * 137,
      owned: i % 4 !== 3,
    })),
  },
  dead: {
    selfName: 'amber-otter',
    peers: [{ ...server, link: 'none' }, tab],
    agents: [
      { name: 'quiet-otter', mind: 'companion', host: 'self', tick: 412 },
      { name: 'brave-swan', mind: 'watcher', host: 'granite-heron', tick: 18_204 },
      { name: 'early-lynx', mind: 'heartbeat', host: 'coral-finch', tick: 733 },
    ],
  },
}

export const canRun = (): { ok: true } | { ok: false; missing: Reason[] } =>
  scene === 'blocked'
    ? {
        ok: false,
        missing: [
          {
            feature: 'a secure page',
            why: 'Browsers give cryptography, storage and locks only to pages that nobody could have changed on the way.',
            remedy: 'Open this page as https://… or, on the machine where it runs, as http://localhost:….',
          },
        ],
      }
    : { ok: true }

export const startNode = async (): Promise<IgorNode> => {
  if (scene === 'failed')
    throw new Error('the store of this browser is of a newer version of Igor (3; this page knows 1). Reload the page')
  if (scene === 'slow') await new Promise((resolve) => setTimeout(resolve, 60_000))
  const world = WORLDS[scene] ?? WORLDS.first
  if (!world) throw new Error(`no scene ${scene}`)
  if (scene !== 'first') localStorage.setItem('igor.welcomed', 'yes')
  return fakeNode(world)
}
