/**
 * A node as an island: its name, how it is connected and how well, and who lives on it.
 *
 * @module
 */

import { open } from '../actions.ts'
import type { Island } from '../archipelago.ts'
import { arrange, h, type Piece, setAttr, setText, show } from '../dom.ts'
import type { App } from '../state.ts'
import { age, bars, LINKS, millis, plural, shortId } from '../words.ts'
import { icon, signal } from './icons.ts'

const KINDS: Readonly<Record<Island['kind'], string>> = {
  self: 'This tab',
  server: 'Server',
  tab: 'Another tab or browser',
  unknown: 'A node out of sight',
}

/** @param cardOf the element of an agent; it moves from island to island */
export const islandPiece = (app: App, peer: string, cardOf: (agent: Island['agents'][number]) => Element): Piece<Island> => {
  const kindIcon = h('span', { class: 'island-icon' })
  const name = h('bdi', { id: 'island-name' })
  const kind = h('span', { class: 'island-kind' })
  const link = h('span', { id: 'link' })
  const rtt = h('span', { id: 'rtt' })
  const strength = signal()
  const linkChip = h('span', { class: 'link' }, strength.el, link, rtt)
  const many = h('span', { class: 'dim', id: 'agent-count' })
  const note = h('p', { class: 'island-note' })
  const keep = h('button', {
    class: 'link-button',
    id: 'storage-hint',
    text: 'kept as long as the browser has room',
    attr: { type: 'button', title: 'The browser may clear this tab’s memory when space is short. See what to do.' },
    on: { click: () => open(app, { kind: 'node' }) },
  })
  const agents = h('div', { class: 'agents', attr: { role: 'list' } })
  const drop = h('p', { class: 'drop-word', attr: { 'aria-hidden': 'true' } })
  const title = h('h2', { attr: { id: `island-${peer}` } }, name)
  const el = h(
    'section',
    { class: 'island', id: 'island', attr: { 'data-peer': peer, 'aria-labelledby': `island-${peer}` } },
    h('header', { class: 'island-head' }, kindIcon, h('div', { class: 'island-title' }, kind, title), linkChip),
    agents,
    note,
    h('footer', { class: 'island-foot' }, many, keep),
    drop,
  )
  let shape: string | undefined
  return {
    el,
    update(island) {
      el.dataset.kind = island.kind
      el.dataset.link = island.link
      if (shape !== island.kind) {
        shape = island.kind
        kindIcon.replaceChildren(icon(island.kind === 'self' || island.kind === 'tab' ? 'tab' : island.kind))
      }
      setText(name, island.name)
      name.title = shortId(island.peer)
      setText(kind, island.home ? 'The server of this page' : KINDS[island.kind])
      const words = LINKS[island.link]
      const { silent } = island
      el.dataset.silent = String(silent !== undefined)
      setText(link, silent === undefined ? words.word : `no word for ${age(silent)}`)
      linkChip.title =
        silent === undefined
          ? words.meaning
          : 'Still connected, but it says nothing. A tab that was closed looks like this for some seconds.'
      setText(rtt, island.rtt === undefined ? '' : millis(island.rtt))
      show(rtt, island.rtt !== undefined && silent === undefined)
      strength.update(island.link === 'none' || silent !== undefined ? 0 : bars(island.rtt))
      const withBars = island.link !== 'self'
      strength.el.classList.toggle('gone', !withBars)
      const hidden = island.said - island.agents.length
      setText(many, `${plural(island.said, 'agent')}${hidden > 0 ? `, ${hidden} of them private` : ''}`)
      many.dataset.count = String(island.said)
      const out = island.link === 'none'
      setText(
        note,
        out
          ? island.agents.length > 0
            ? 'Out of reach. What you see is the last that was heard.'
            : 'Out of reach at the moment.'
          : island.agents.length === 0
            ? island.room === 0
              ? 'Full: it takes no more agents.'
              : 'Nobody here yet. Drag an agent over.'
            : '',
      )
      show(note, note.textContent !== '')
      show(keep, island.kind === 'self' && app.state.usage?.persistent === false && island.agents.length > 0)
      arrange(agents, island.agents.map(cardOf))
      setAttr(agents, 'hidden', island.agents.length === 0)
    },
  }
}
