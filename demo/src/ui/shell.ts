/**
 * Puts the page together.
 *
 * @module
 */
import { h } from '../dom.ts'
import { chooseFiles } from '../files.ts'
import { startFiles } from '../start.ts'
import type { App } from '../state.ts'
import { startWatchers, type Watchers } from '../watch.ts'
import { activityBar } from './activity.ts'
import { enableDrag } from './drag.ts'
import { enableDrop } from './drop.ts'
import { galleryView } from './gallery-view.ts'
import { header } from './header.ts'
import { openImport } from './import-dialog.ts'
import { intro } from './intro.ts'
import { notices } from './notices.ts'
import { panel } from './panel.ts'
import { routes } from './route.ts'
import { sea } from './sea.ts'

const takeFiles = async (app: App, files: readonly File[]): Promise<void> => {
  for (const car of await startFiles(app, files)) await openImport(app, car)
}

/** @returns what watches the agents in view; stop it with the page */
export const mountShell = (app: App): Watchers => {
  const islands = sea(app)
  const route = routes(app, islands)
  islands.el.append(route.el)
  const top = header(app)
  const words = intro(app)
  const gallery = galleryView(app, async () => takeFiles(app, await chooseFiles('.wasm,.json,.car,*/*', true)))
  const calm = notices(app)
  const activity = activityBar(app)
  const main = h('main', { attr: { id: 'main' } }, words.el, islands.el, gallery.el)
  const page = h('div', { class: 'page' }, h('div', { class: 'column' }, calm.el, main))
  const side = panel(app, islands, [top.el, main, activity.el])
  page.append(side.el)
  const skip = h('a', { class: 'skip', text: 'Skip to the islands', attr: { href: '#main' } })
  const veil = enableDrop((files) => void takeFiles(app, files))
  document.getElementById('starting')?.remove()
  document.body.prepend(skip, top.el, page, activity.el, veil)
  enableDrag(app, islands.el, islands.map)

  const watchers = startWatchers(app)
  for (const part of [calm, top, words, islands, route, gallery, side, activity]) app.onrender(() => part.update())
  app.onrender(() => {
    const { open, runs } = app.state
    watchers.want([...new Set([...(open?.kind === 'agent' ? [open.id] : []), ...runs.keys(), ...islands.visible()])])
  })
  app.changed()
  return watchers
}
