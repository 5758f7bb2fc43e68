/**
 * The page's entry: checks the browser, makes the node, shows it.
 *
 * @module
 */
import { startApp } from './app.ts'
import { canRun, startNode } from './node.ts'
import { findSite } from './site.ts'
import { fillGallery } from './start.ts'
import { showBlocked, showFailed } from './ui/blocked.ts'
import { mountShell } from './ui/shell.ts'

/** The name of this page's build: the folder that it was loaded from. */
const BUILD = new URL(import.meta.url).pathname.split('/').at(-2)
/** A page that stays open for days looks for a newer one when somebody looks at it. */
const LOOK_MS = 10 * 60_000

/** Caches the page's shell, so that a reload works with the server dead. */
const serveOffline = async (onNewer: () => void): Promise<void> => {
  const { serviceWorker } = navigator
  // Absent in some private windows; the page works without.
  if (!serviceWorker) return
  serviceWorker.addEventListener('message', ({ data }: MessageEvent<{ build?: unknown } | null>) => {
    if (typeof data?.build === 'string' && data.build !== BUILD) onNewer()
  })
  const registration = await serviceWorker.register('/sw.js')
  let looked = performance.now()
  document.addEventListener('visibilitychange', () => {
    if (document.hidden || performance.now() - looked < LOOK_MS) return
    looked = performance.now()
    registration.update().catch(() => {})
  })
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
  document.title = `${node.name} · Igor`
  serveOffline(() => {
    app.state.newer = true
    app.changed()
  }).catch(() => {})
  await fillGallery(app)
}

begin().catch(showFailed)
