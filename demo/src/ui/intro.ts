/**
 * The first sentence. It names the agent that is there, and only promises what holds now.
 *
 * @module
 */
import { h, setText, show } from '../dom.ts'
import { introWords } from '../intro-words.ts'
import type { App } from '../state.ts'
import { shownState } from '../words.ts'
import { icon } from './icons.ts'

const GONE = 'igor.intro'

export const intro = (app: App): { readonly el: HTMLElement; update(): void } => {
  const over = h('p', { class: 'intro-over' })
  const title = h('h1', { id: 'intro-title' })
  const text = h('p', { class: 'intro-text' })
  const el = h(
    'section',
    { class: 'intro', id: 'intro' },
    h('div', {}, over, title, text),
    h(
      'button',
      {
        class: 'icon-button',
        attr: { type: 'button', 'aria-label': 'Hide this introduction', title: 'Got it' },
        on: {
          click: () => {
            app.state.introGone = true
            localStorage.setItem(GONE, 'gone')
            app.changed()
          },
        },
      },
      icon('close'),
    ),
  )
  app.state.introGone = localStorage.getItem(GONE) !== null
  // Without the introduction the page still has a first heading.
  const quiet = h('h1', { class: 'for-ears', text: 'Islands' })
  const whole = h('div', {}, quiet, el)
  return {
    el: whole,
    update() {
      const { state } = app
      show(el, !state.introGone)
      show(quiet, state.introGone)
      if (state.introGone) return
      const mine = state.agents.filter((agent) => agent.owned && agent.state !== 'retired')
      const server = state.peers.some((peer) => peer.kind === 'server' && peer.link !== 'none')
      const serverIds = new Set(state.peers.filter((peer) => peer.kind === 'server').map((peer) => peer.id))
      const words = introWords({
        here: mine.find((agent) => agent.here && (agent.state === 'active' || shownState(agent) === 'waiting')),
        onServer: server ? mine.find((agent) => serverIds.has(agent.host) && agent.state === 'active') : undefined,
        elsewhere: mine.find((agent) =>
          state.peers.some((peer) => peer.id === agent.host && peer.kind === 'tab' && peer.link !== 'none'),
        ),
        server,
        others: state.peers.some((peer) => peer.id !== app.node.id && peer.link !== 'none'),
      })
      setText(over, words.over)
      setText(title, words.title)
      setText(text, words.text)
    },
  }
}
