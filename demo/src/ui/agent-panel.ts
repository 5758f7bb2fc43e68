/**
 * One agent, in full.
 *
 * @module
 */

import { moveWords, open } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import type { Archipelago } from '../archipelago.ts'
import { copyText } from '../clipboard.ts'
import { h, type Piece, setText, show } from '../dom.ts'
import { lastsMs, money } from '../money.ts'
import { placeOf, withNames } from '../names.ts'
import type { App } from '../state.ts'
import { age, bytes, count, STATES, shortId, shownState } from '../words.ts'
import { agentActions } from './agent-actions.ts'
import { stateChip } from './chip.ts'
import { creature } from './creature.ts'
import { icon } from './icons.ts'
import { journey } from './journey.ts'
import { logView } from './log.ts'
import { passportView } from './passport.ts'
import { problemBox } from './problem.ts'
import { liveView } from './write.ts'

const fact = (label: string, id?: string): { readonly el: HTMLElement; readonly value: HTMLElement } => {
  const value = h('dd', id === undefined ? {} : { id })
  return { el: h('div', { class: 'fact' }, h('dt', { text: label }), value), value }
}

export const agentPanel = (app: App, id: string, map: () => Archipelago): Piece<AgentStatus> => {
  const being = creature(id)
  const chip = stateChip()
  const name = h('bdi')
  const title = h('h2', { attr: { id: 'panel-title', tabindex: -1 } }, name)
  const lives = h('p', { class: 'dim', id: 'lives-on' })
  const reason = h('p', { class: 'reason', id: 'reason' })
  const problem = problemBox(() => {
    app.state.problems.delete(id)
    app.changed()
  })
  const way = journey(app)
  const moveLine = h('p', { class: 'move-line', id: 'panel-move-line' })
  const tick = fact('Tick', 'panel-tick')
  const old = fact('Age')
  const memory = fact('Memory')
  const inbox = fact('Inbox')
  const budget = fact('Budget', 'panel-budget')
  const live = liveView(app, id)
  const log = logView()
  const actions = agentActions(app, id, map)
  const passport = passportView(app, id, map)
  const epoch = fact('Stays so far')
  const seq = fact('Record')
  const may = fact('May use')
  const seen = fact('Who may watch')
  const head = fact('Head')
  const did = fact('Identity')
  const copy = h(
    'button',
    {
      class: 'icon-button',
      attr: { type: 'button', 'aria-label': 'Copy its identity (DID)', title: 'Copy its identity (DID)' },
      on: { click: () => void copyText(app, 'its identity', id, copy) },
    },
    icon('copy'),
  )
  const close = h(
    'button',
    {
      class: 'icon-button',
      id: 'panel-close',
      attr: { type: 'button', 'aria-label': 'Close', title: 'Close (Esc)' },
      on: { click: () => open(app, undefined) },
    },
    icon('close'),
  )
  setText(did.value, id)
  const el = h(
    'div',
    { class: 'panel-inner', id: 'agent-panel', attr: { 'data-agent': id } },
    h(
      'header',
      { class: 'panel-head' },
      h('div', { class: 'agent-being' }, being.el),
      h('div', { class: 'panel-who' }, title, h('p', { class: 'agent-facts' }, chip.el), lives),
      h('div', { class: 'panel-tools' }, copy, close),
    ),
    reason,
    problem.el,
    way.el,
    actions.el,
    h('dl', { class: 'facts' }, tick.el, old.el, memory.el, inbox.el, budget.el),
    moveLine,
    live.el,
    h(
      'section',
      { class: 'part', attr: { 'aria-label': 'Log' } },
      h('header', { class: 'part-head' }, h('h3', { text: 'Log' })),
      log.el,
    ),
    passport.el,
    h(
      'details',
      { class: 'part more' },
      h('summary', { text: 'Details' }),
      h('dl', { class: 'facts long' }, epoch.el, seq.el, may.el, seen.el, head.el, did.el),
    ),
  )
  let ticked = -1
  return {
    el,
    update(status) {
      const { state, node } = app
      const watched = state.live.get(id)
      el.dataset.state = status.state
      setText(name, status.name)
      const host = map().islands.find((island) => island.peer === status.host)
      const shown = shownState(status)
      chip.update({ state: shown, past: host?.link === 'none' })
      const where = status.here ? `in this tab (${node.name})` : placeOf(node, status.host)
      setText(
        lives,
        `${status.state === 'retired' ? 'Last lived' : 'Lives'} ${where}${host?.link === 'none' ? ', out of reach' : ''} · ${shortId(id)}`,
      )
      const words = status.state === 'active' ? '' : STATES[shown].meaning
      setText(reason, [words, withNames(node, status.reason ?? '')].filter((text) => text !== '').join(' '))
      show(reason, reason.textContent !== '')
      reason.dataset.state = shown
      problem.update(state.problems.get(id))
      way.update({ run: state.runs.get(id), progress: watched?.progress })
      const open = status.committed === undefined ? 0 : status.tick - status.committed
      setText(tick.value, open > 0 ? `${count(status.tick)} (${count(open)} provisional)` : count(status.tick))
      tick.value.title = open > 0 ? 'Provisional ticks are not with the witness yet: only they could be lost.' : ''
      tick.value.dataset.tick = String(status.tick)
      setText(old.value, status.born === undefined ? '–' : age(Date.now() - status.born))
      setText(memory.value, status.memory > 0 ? bytes(status.memory) : '–')
      setText(inbox.value, status.inbox === 0 ? 'empty' : count(status.inbox))
      const price = state.peers.find(({ id: peer }) => peer === status.host)?.price ?? 0n
      const lasts = lastsMs(status.budget, price)
      setText(
        budget.value,
        lasts === undefined ? `${money(status.budget)} · free here` : `${money(status.budget)} · ${age(lasts)} of running`,
      )
      budget.value.title = lasts === undefined ? '' : `Its host asks ${money(price)} for a second of running.`
      const moved = state.moves.get(id)
      show(moveLine, moved !== undefined)
      if (moved) setText(moveLine, `Last move: ${moveWords(app, moved.move)}`)
      live.update(status)
      log.update(
        watched,
        watched?.lost ??
          (status.capabilities.length > 0 && !status.capabilities.includes('log')
            ? 'It keeps no log.'
            : 'Nothing yet, since you look.'),
      )
      actions.update(status)
      passport.update(status)
      setText(epoch.value, count(status.epoch))
      setText(seq.value, count(status.seq))
      setText(may.value, status.capabilities.length === 0 ? 'nothing' : status.capabilities.join(', '))
      setText(seen.value, status.public ? 'anyone' : 'its owner')
      setText(head.value, status.head)
      if (ticked >= 0 && status.tick > ticked) being.pulse()
      ticked = status.tick
    },
    dispose: () => passport.dispose?.(),
  }
}
