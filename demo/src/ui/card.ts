/**
 * An agent on its island: who it is, how it is, what it shows, and the way to move it.
 *
 * @module
 */
import { moveAgent, moveWords, open } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import { type Archipelago, mayMove, mayOrder } from '../archipelago.ts'
import { h, type Piece, setAttr, setText, show } from '../dom.ts'
import { withNames } from '../names.ts'
import { type App, agentOf } from '../state.ts'
import { age, count, LINKS, STATES, shownState, tidy } from '../words.ts'
import { stateChip } from './chip.ts'
import { creature } from './creature.ts'
import { icon } from './icons.ts'
import { journey } from './journey.ts'
import { openMenu } from './menu.ts'
import { problemBox } from './problem.ts'
import { surface } from './view.ts'

const MAX_CARD_CHARS = 240
/** A move that has just ended is worth a second look. */
const FRESH_MS = 10_000

/** The menu that does by keyboard what a drag does by hand. */
export const openMoveMenu = (app: App, anchor: HTMLElement, id: string, map: () => Archipelago): void => {
  const status = agentOf(app.state, id)
  if (!status) return
  const order = mayOrder(status)
  if (!order.ok) {
    openMenu(anchor, `Move ${status.name}`, [{ label: 'You cannot move it', not: order.why, icon: 'key', run: () => {} }])
    return
  }
  const items = map()
    .islands.filter((island) => island.peer !== status.host)
    .map((island) => {
      const verdict = mayMove(status, island)
      return {
        label: island.kind === 'self' ? `This tab (${island.name})` : island.name,
        detail: island.kind === 'self' ? 'it would run here' : LINKS[island.link].word,
        icon: island.kind === 'server' ? ('server' as const) : ('tab' as const),
        peer: island.peer,
        ...(verdict.ok ? {} : { not: verdict.why }),
        run: () => void moveAgent(app, id, island.peer),
      }
    })
  openMenu(
    anchor,
    `Move ${status.name} to`,
    items.length > 0
      ? items
      : [{ label: 'No other island yet', not: 'Open a second tab, or start a server.', icon: 'plus', run: () => {} }],
  )
}

export const agentCard = (app: App, id: string, map: () => Archipelago): Piece<AgentStatus> => {
  const being = creature(id)
  const chip = stateChip()
  const name = h('bdi')
  const tick = h('span', { id: 'tick' })
  const old = h('span', { class: 'dim', id: 'age' })
  const says = surface(MAX_CARD_CHARS)
  const caption = h('p', { class: 'caption' })
  const bubble = h('div', { class: 'bubble' }, says.el, caption)
  const foreign = h(
    'span',
    { class: 'foreign', attr: { title: 'Its owner’s key is not in this browser: you can watch it, not order it.' } },
    icon('key'),
    'not yours',
  )
  const moveLine = h('p', { class: 'move-line', id: 'move-line' })
  const why = h('p', { class: 'why', id: 'why' })
  const way = journey(app)
  const problem = problemBox(() => {
    app.state.problems.delete(id)
    app.changed()
  })
  const opener = h(
    'button',
    { class: 'agent-open', id: 'agent-open', attr: { type: 'button' }, on: { click: () => open(app, { kind: 'agent', id }) } },
    name,
  )
  const mover = h(
    'button',
    {
      class: 'icon-button mover',
      id: 'move-button',
      attr: { type: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false' },
      on: { click: () => openMoveMenu(app, mover, id, map) },
    },
    icon('move'),
  )
  const el = h(
    'article',
    { class: 'agent', id: 'agent', attr: { 'data-agent': id } },
    h('div', { class: 'agent-being', on: { click: () => open(app, { kind: 'agent', id }) } }, being.el),
    h(
      'div',
      { class: 'agent-words' },
      h('h3', {}, opener),
      h('p', { class: 'agent-facts' }, chip.el, tick),
      h('p', { class: 'agent-facts' }, old, foreign),
    ),
    mover,
    why,
    bubble,
    way.el,
    moveLine,
    problem.el,
  )
  let ticked = -1
  return {
    el,
    update(status) {
      const { state } = app
      const live = state.live.get(id)
      const run = state.runs.get(id)
      const shown = run && status.state === 'active' && live?.progress ? 'moving' : shownState(status)
      el.dataset.state = status.state
      el.dataset.owned = String(status.owned)
      el.dataset.open = String(state.open?.kind === 'agent' && state.open.id === id)
      el.dataset.moving = String(run !== undefined || status.state === 'moving')
      setText(name, status.name)
      const past = map().islands.some((island) => island.peer === status.host && island.link === 'none')
      chip.update({ state: shown, past })
      setText(tick, `tick ${count(status.tick)}`)
      tick.dataset.tick = String(status.tick)
      setText(old, status.born === undefined ? '' : `${age(Date.now() - status.born)} old`)
      show(old, status.born !== undefined)
      show(foreign, !status.owned)
      setAttr(opener, 'aria-label', `${status.name}, ${STATES[shownState(status)].word}: show it`)
      setAttr(mover, 'aria-label', `Move ${status.name} to…`)
      mover.title = 'Move to…'
      setText(why, run || status.state === 'active' ? '' : withNames(app.node, status.reason ?? ''))
      why.dataset.state = shownState(status)
      show(why, why.textContent !== '')
      const last = live?.log.at(-1)
      const spoke = says.update(live?.view?.view)
      bubble.dataset.kind = live?.view?.view.kind === 'rgba' ? 'picture' : 'text'
      // The last line of the log stands in for a view, and beside a picture.
      const line = last && live?.view?.view.kind !== 'text' ? tidy(last.text, MAX_CARD_CHARS) : ''
      setText(caption, line)
      show(caption, line !== '')
      show(bubble, spoke || line !== '')
      way.update({ run, progress: live?.progress })
      const moved = state.moves.get(id)
      show(moveLine, moved !== undefined && way.el.hidden !== false)
      if (moved) {
        setText(moveLine, moveWords(app, moved.move))
        moveLine.dataset.fresh = String(performance.now() - moved.seen < FRESH_MS)
        moveLine.dataset.from = moved.move.from
        moveLine.dataset.to = moved.move.to
        moveLine.dataset.tick = String(moved.move.tick)
        moveLine.dataset.ms = String(moved.move.downtimeMs)
      }
      problem.update(state.problems.get(id))
      if (ticked >= 0 && status.tick > ticked) being.pulse()
      ticked = status.tick
    },
  }
}
