/**
 * Starting agents: from the gallery, from files, and the one that welcomes a first visit.
 *
 * @module
 */
import { fail } from './actions.ts'
import type { Agent } from './api.ts'
import { readBytes, type Sorted, sortFiles } from './files.ts'
import { fetchParts, type GalleryItem, loadGallery } from './gallery.ts'
import { canGuard, guarded, wantsGuard } from './guard.ts'
import type { App } from './state.ts'
import { said } from './words.ts'

/** Who welcomed this browser, once somebody did. */
const WELCOMED = 'igor.welcomed'
/** A server that is there is in sight by then. */
const SERVER_MS = 3000
/** Whoever opens several tabs at once is welcomed once. */
const WELCOME_LOCK = 'igor.welcome'

const started = (app: App, agent: Agent): void => {
  app.announce(`${agent.status.name} is alive in this tab.`)
  app.note('info', `${agent.status.name} was started in this tab`, agent.id)
  app.state.reveal = agent.id
  app.changed()
}

export const startFromGallery = async (app: App, item: GalleryItem): Promise<Agent | undefined> => {
  const { state } = app
  if (state.starting.has(item.id)) return undefined
  state.starting = new Set([...state.starting, item.id])
  state.problems.delete('gallery')
  app.changed()
  try {
    const agent = await app.node.spawn(guarded(app, await fetchParts(item)))
    started(app, agent)
    return agent
  } catch (error) {
    fail(app, 'gallery', `${item.title} did not start`, error, () => void startFromGallery(app, item))
    return undefined
  } finally {
    state.starting = new Set([...state.starting].filter((id) => id !== item.id))
    app.changed()
  }
}

/** The first agent is one that goes on when this tab is closed, if its server can be asked soon. */
const serverInSight = (app: App): Promise<void> =>
  new Promise((resolve) => {
    if (app.state.site?.witness === undefined || !wantsGuard()) return resolve()
    const end = (): void => {
      off()
      clearTimeout(limit)
      resolve()
    }
    const limit = setTimeout(end, SERVER_MS)
    const off = app.node.onchange(() => {
      if (canGuard({ ...app.state, peers: app.node.peers() })) end()
    })
    if (canGuard({ ...app.state, peers: app.node.peers() })) end()
  })

/** On the first visit of a browser there is somebody already: the first agent of the gallery. */
const welcome = async (app: App): Promise<void> => {
  await navigator.locks.request(WELCOME_LOCK, { ifAvailable: true }, async (lock) => {
    if (!lock || localStorage.getItem(WELCOMED) !== null) return
    const { gallery } = app.state
    const [first] = Array.isArray(gallery) ? (gallery as readonly GalleryItem[]) : []
    if (!first) return
    if (app.node.agents().some((status) => status.owned)) {
      localStorage.setItem(WELCOMED, 'before')
      return
    }
    await serverInSight(app)
    const agent = await startFromGallery(app, first)
    if (agent !== undefined) localStorage.setItem(WELCOMED, agent.id)
  })
}

/** Fetches the list; where that fails, the page says so. A browser that is new here is welcomed. */
export const fillGallery = async (app: App): Promise<void> => {
  try {
    app.state.gallery = await loadGallery()
  } catch (error) {
    app.state.gallery = { title: 'The gallery did not load', text: said(error), again: () => void fillGallery(app) }
  }
  app.changed()
  await welcome(app)
}

/** Starts the modules among dropped or chosen files; gives back the `.car` files, which ask first. */
export const startFiles = async (app: App, files: readonly File[]): Promise<readonly File[]> => {
  const sorted: Sorted<File> = sortFiles(files)
  app.state.problems.delete('drop')
  app.changed()
  if (sorted.problem !== undefined) {
    fail(app, 'drop', 'Nothing was started', new Error(sorted.problem))
    return []
  }
  for (const module of sorted.modules) {
    try {
      const [wasm, manifest, init] = await Promise.all([
        readBytes(module),
        sorted.manifest ? readBytes(sorted.manifest) : undefined,
        sorted.init ? readBytes(sorted.init) : undefined,
      ])
      started(
        app,
        await app.node.spawn(guarded(app, { module: wasm, ...(manifest ? { manifest } : {}), ...(init ? { init } : {}) })),
      )
    } catch (error) {
      fail(app, 'drop', `${module.name} did not start`, error)
    }
  }
  return sorted.cars
}
