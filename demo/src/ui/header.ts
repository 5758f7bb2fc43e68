/**
 * The top of the page: whose page it is, and who this tab is.
 *
 * @module
 */
import { open } from '../actions.ts'
import { h, setText } from '../dom.ts'
import type { App } from '../state.ts'
import { plural } from '../words.ts'
import { icon } from './icons.ts'

export const header = (app: App): { readonly el: HTMLElement; update(): void } => {
  const sight = h('span', { class: 'dim', id: 'sight' })
  const el = h(
    'header',
    { class: 'top' },
    h(
      'a',
      { class: 'brand', attr: { href: '/', 'aria-label': 'Igor' } },
      h('span', { class: 'brand-mark', attr: { 'aria-hidden': 'true' } }),
      'Igor',
    ),
    sight,
    h(
      'button',
      {
        class: 'button',
        id: 'start-agent',
        attr: { type: 'button' },
        on: {
          click: () => {
            const title = document.getElementById('gallery-title')
            title?.scrollIntoView({ behavior: 'smooth', block: 'start' })
            document.querySelector<HTMLElement>('.gallery-item')?.focus({ preventScroll: true })
          },
        },
      },
      icon('plus'),
      h('span', {}, 'Start', h('span', { class: 'wide-only', text: ' an agent' })),
    ),
    h(
      'button',
      {
        class: 'button',
        id: 'this-node',
        attr: { type: 'button', title: 'This tab: its memory, keys and addresses' },
        on: { click: () => open(app, app.state.open?.kind === 'node' ? undefined : { kind: 'node' }) },
      },
      icon('tab'),
      h('bdi', { text: app.node.name, id: 'node-name' }),
    ),
  )
  return {
    el,
    update() {
      const near = app.state.peers.filter((peer) => peer.id !== app.node.id && peer.link !== 'none').length
      setText(sight, near === 0 ? 'no other node in sight' : `${plural(near, 'other node')} in sight`)
      sight.dataset.count = String(near)
    },
  }
}
