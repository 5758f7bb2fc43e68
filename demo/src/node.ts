/**
 * The seam: whether this browser can be a node, and how this page gets its own. Development replaces
 * this file by `fake/node.ts`.
 *
 * @module
 */
import type { IgorNode } from './api.ts'
import type { Site } from './site.ts'

export { canRun } from '@igor/browser'

/** Makes the node that this tab is. Loaded apart, so that the page can say something meanwhile. */
export const startNode = async (site: Site | undefined): Promise<IgorNode> => {
  const { createNode } = await import('@igor/browser')
  return createNode({ relays: site?.multiaddrs ?? [], iceServers: site?.iceServers ?? [], releaseUrl: '/release' })
}
