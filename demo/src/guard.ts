/**
 * Whether new agents get the server as their witness: then somebody else may go on with them when this tab is gone, and
 * they stand still while the server is. Without one they go on with the server dead, and live only in this browser.
 *
 * @module
 */
import type { SpawnOptions } from './api.ts'
import type { App, State } from './state.ts'

const KEY = 'igor.guard-new-agents'

/** True where there is a witness that can be asked. */
export const canGuard = ({ site, peers }: State): boolean =>
  site?.witness !== undefined && peers.some(({ id, link }) => id === site.peerId && link !== 'none')

export const wantsGuard = (): boolean => localStorage.getItem(KEY) !== 'no'

export const setGuard = (yes: boolean): void => localStorage.setItem(KEY, yes ? 'yes' : 'no')

/** A manifest that does not say where its agent may go on says: where its witness finds room. */
const withFailover = (manifest: Uint8Array | undefined): Uint8Array | undefined => {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(manifest ?? new TextEncoder().encode('{}')))
  } catch {
    // What is no manifest is refused where all are read.
    return manifest
  }
  if (typeof value !== 'object' || value === null || 'failover' in value || 'witness' in value) return manifest
  return new TextEncoder().encode(JSON.stringify({ ...value, failover: 'witness' }))
}

/** What to start, as the person chose. */
export const guarded = (
  { state }: App,
  parts: { readonly module: Uint8Array; readonly manifest?: Uint8Array; readonly init?: Uint8Array },
): SpawnOptions => {
  const witness = state.site?.witness
  if (witness === undefined || !canGuard(state) || !wantsGuard()) return parts
  const manifest = withFailover(parts.manifest)
  return { ...parts, ...(manifest === undefined ? {} : { manifest }), ...(manifest === parts.manifest ? {} : { witness }) }
}
