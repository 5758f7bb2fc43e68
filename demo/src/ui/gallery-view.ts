/**
 * Agents to start with one click, and the way for files.
 *
 * @module
 */
import { h, keyed, setAttr, setText, show } from '../dom.ts'
import type { GalleryItem } from '../gallery.ts'
import { canGuard, setGuard, wantsGuard } from '../guard.ts'
import { startFromGallery } from '../start.ts'
import type { App } from '../state.ts'
import { creature } from './creature.ts'
import { icon } from './icons.ts'
import { problemBox } from './problem.ts'

/** The whole choice, in one sentence. */
const GUARD =
  'The server watches over new agents: close this tab, and they go on there. Untick it for agents that go on without any server, in this browser alone.'

export const galleryView = (app: App, chooseFiles: () => void): { readonly el: HTMLElement; update(): void } => {
  const problem = problemBox(() => {
    app.state.problems.delete('gallery')
    app.changed()
  })
  const list = h('div', { class: 'gallery-list' })
  const note = h('p', { class: 'dim' })
  const files = h(
    'button',
    { class: 'drop-box', id: 'choose-files', attr: { type: 'button' }, on: { click: chooseFiles } },
    icon('drop'),
    h(
      'span',
      {},
      h('strong', { text: 'Your own' }),
      h('span', { class: 'dim', text: 'Drop a .wasm, or an agent’s .car, anywhere on the page; or choose files.' }),
    ),
  )
  const box = h('input', { id: 'guard', attr: { type: 'checkbox' }, on: { change: () => setGuard(box.checked) } })
  const guard = h('label', { class: 'toggle dim' }, box, h('span', { text: GUARD }))
  box.checked = wantsGuard()
  const el = h(
    'section',
    { class: 'gallery', id: 'gallery', attr: { 'aria-labelledby': 'gallery-title' } },
    h('h2', { text: 'Start an agent', attr: { id: 'gallery-title', tabindex: -1 } }),
    problem.el,
    guard,
    note,
    h('div', { class: 'gallery-grid' }, list, files),
  )
  const reconcile = keyed<GalleryItem>(
    list,
    (item) => item.id,
    (item) => {
      const word = h('span', { class: 'gallery-start', text: 'Start' })
      const button = h(
        'button',
        {
          class: 'gallery-item',
          id: 'gallery-item',
          attr: { type: 'button', 'data-item': item.id },
          on: { click: () => void startFromGallery(app, item) },
        },
        creature(item.id).el,
        h('span', { class: 'gallery-words' }, h('strong', { text: item.title }), h('span', { class: 'dim', text: item.line })),
        word,
      )
      return {
        el: button,
        update: () => {
          const busy = app.state.starting.has(item.id)
          setText(word, busy ? 'Starting…' : 'Start')
          setAttr(button, 'aria-busy', busy ? 'true' : undefined)
        },
      }
    },
  )
  return {
    el,
    update() {
      const { gallery } = app.state
      problem.update(app.state.problems.get('gallery') ?? (gallery !== 'loading' && 'title' in gallery ? gallery : undefined))
      const items = Array.isArray(gallery) ? (gallery as readonly GalleryItem[]) : []
      setText(note, gallery === 'loading' ? 'Loading…' : '')
      show(guard, canGuard(app.state))
      show(note, gallery === 'loading')
      reconcile(items)
    },
  }
}
