/**
 * The page's entry: checks the browser, makes the node, shows it.
 *
 * @module
 */
import { startApp } from './app.ts'
import { canRun, startNode } from './node.ts'
import { findSite } from './site.ts'
import { fillGallery, welcome } from './start.ts'
import { showBlocked, showFailed } from './ui/blocked.ts'
import { mountShell } from './ui/shell.ts'

/** Caches the page's shell, so that a reload works with the server dead. */
const serveOffline = (onNewer: () => void): void => {
  const { serviceWorker } = navigator
  // Absent in some private windows; the page works without.
  if (!serviceWorker) return
  const known = serviceWorker.controller !== null
  serviceWorker.addEventListener('controllerchange', () => {
    if (known) onNewer()
  })
  serviceWorker.register('/sw.js').catch(() => {})
}

const begin = async (): Promise<void> => {
  const verdict = canRun()
  if (!verdict.ok) {
    showBlocked(verdict.missing)
    return
  }
  const { site } = await findSite()
  const node = await startNode(site)
  const { app } = startApp(node, site)
  mountShell(app)
  serveOffline(() => {
    app.state.newer = true
    app.changed()
  })
  await fillGallery(app)
  await welcome(app)
}

begin().catch(showFailed)
