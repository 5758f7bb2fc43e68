/**
 * Whether this browser can be a node, in words for a person.
 *
 * @module
 */

export interface Missing {
  readonly feature: string
  /** What it is needed for. */
  readonly why: string
  /** What the person can do. */
  readonly remedy: string
}

export type CanRun = { readonly ok: true } | { readonly ok: false; readonly missing: readonly Missing[] }

const UPDATE = 'Use a current Chrome, Edge, Firefox or Safari.'

/**
 * `(module (memory 1) (func (param v128) (drop (i8x16.popcnt (local.get 0)))
 *   (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))`: SIMD and bulk memory.
 */
const PROBE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[0x01, 5, 1, 0x60, 1, 0x7b, 0],
  ...[0x03, 2, 1, 0],
  ...[0x05, 3, 1, 0, 1],
  ...[0x0a, 18, 1, 16, 0, 0x20, 0, 0xfd, 0x62, 0x1a, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 0, 0x0b],
)

interface Feature extends Missing {
  readonly has: () => boolean
}

const FEATURES: readonly Feature[] = [
  {
    feature: 'a secure page',
    why: 'Browsers give cryptography, storage and locks only to pages that nobody could have changed on the way.',
    remedy: 'Open this page as https://… or, on the machine where it runs, as http://localhost:….',
    has: () => globalThis.isSecureContext === true,
  },
  {
    feature: 'current JavaScript',
    why: 'Igor and its network are written in it.',
    remedy: UPDATE,
    has: () =>
      typeof Promise.withResolvers === 'function' &&
      typeof AbortSignal.any === 'function' &&
      typeof BigInt64Array === 'function' &&
      typeof structuredClone === 'function',
  },
  {
    feature: 'WebAssembly with SIMD and bulk memory',
    why: 'Agents are WebAssembly programs.',
    remedy: `${UPDATE} If it is current, WebAssembly is switched off: lockdown mode and some security extensions do that; allow it for this page.`,
    has: () => WebAssembly.validate(PROBE),
  },
  {
    feature: 'storage',
    why: 'Agents and the key of this tab are kept in it; without it they would be lost with the tab.',
    remedy: 'Allow cookies and site data for this page, or leave the private window.',
    has: () =>
      typeof indexedDB === 'object' && indexedDB !== null && storageWorks('localStorage') && storageWorks('sessionStorage'),
  },
  {
    feature: 'Web Locks',
    why: 'Tabs agree by them on which is which, so that no two are the same node.',
    remedy: UPDATE,
    has: () => typeof navigator.locks?.request === 'function',
  },
  {
    feature: 'module workers',
    why: 'Agents run in workers, beside the page.',
    remedy: UPDATE,
    has: moduleWorkers,
  },
  {
    feature: 'WebRTC data channels',
    why: 'Tabs reach each other by them.',
    remedy: 'Allow WebRTC: some privacy extensions and settings (media.peerconnection.enabled in Firefox) switch it off.',
    has: () => typeof RTCPeerConnection === 'function' && 'createDataChannel' in RTCPeerConnection.prototype,
  },
  {
    feature: 'WebCrypto',
    why: 'Every record of an agent is hashed and signed.',
    remedy: `Open this page as https://… or as http://localhost:…. ${UPDATE}`,
    has: () => typeof crypto?.subtle?.digest === 'function',
  },
]

/**
 * Asks nothing and changes nothing. What can only be seen by trying (a browser that refuses to open
 * the database) is an error of `openIdbStore`, in the same kind of words.
 *
 * WebRTC counts as needed: without it a tab could talk to servers but not to other tabs.
 */
export function canRun(): CanRun {
  const missing = FEATURES.filter(({ has }) => !works(has)).map(({ feature, why, remedy }) => ({ feature, why, remedy }))
  // An insecure page lacks half of the rest for that reason alone: one thing to do, not five.
  const insecure = missing.find(({ feature }) => feature === FEATURES[0]?.feature)
  if (insecure) return { ok: false, missing: [insecure] }
  return missing.length === 0 ? { ok: true } : { ok: false, missing }
}

function works(has: () => boolean): boolean {
  try {
    return has()
  } catch {
    return false
  }
}

/** A browser that blocks site data throws when the area is named or read. */
function storageWorks(area: 'localStorage' | 'sessionStorage'): boolean {
  globalThis[area].getItem('igor')
  return true
}

/** A browser that knows module workers reads `type` before it looks at the address; that one is none, so no worker is made. */
function moduleWorkers(): boolean {
  let known = false
  const options: WorkerOptions = {
    get type(): WorkerType {
      known = true
      return 'module'
    },
  }
  try {
    new Worker('https://:', options).terminate()
  } catch {
    // SyntaxError, as meant.
  }
  return known
}
