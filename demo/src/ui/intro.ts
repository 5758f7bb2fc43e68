/**
 * The first sentence. It names the agent that is there, and only promises what holds now.
 *
 * @module
 */
import type { AgentStatus } from '../api.ts'
import { h, setText, show } from '../dom.ts'
import type { App } from '../state.ts'
import { icon } from './icons.ts'

const GONE = 'igor.intro'

export interface IntroWords {
  readonly over: string
  readonly title: string
  readonly text: string
}

/** Pure: what to say, by who is where and who is in reach. */
export const introWords = (see: {
  readonly here: AgentStatus | undefined
  readonly onServer: AgentStatus | undefined
  readonly server: boolean
  readonly others: boolean
}): IntroWords => {
  if (see.onServer) {
    return {
      over: `${see.onServer.name} lives on the server now`,
      title: 'Close this tab. It goes on.',
      text: 'Open the page again whenever you like: the same agent, further on. Drag it back, or to any other island.',
    }
  }
  if (!see.here) {
    return {
      over: 'This tab is a node',
      title: 'Start an agent. It lives here.',
      text: 'An agent is a small program with a life of its own. It ticks, remembers, and moves between tabs and servers without losing a tick.',
    }
  }
  const over = `${see.here.name} is alive in this tab`
  if (see.server) {
    return {
      over,
      title: 'Drag it to the server. Close this tab. It goes on.',
      text: 'Left here, it sleeps in this browser while the tab is closed, and wakes at the next tick when you are back.',
    }
  }
  if (see.others) {
    return {
      over,
      title: 'Drag it to another tab. Close this one. It goes on.',
      text: 'Left here, it sleeps in this browser while the tab is closed, and wakes at the next tick when you are back.',
    }
  }
  return {
    over,
    title: 'Close this tab, come back: it goes on.',
    text: 'It is kept in this browser, tick by tick. Open the page in a second tab, and it can move there.',
  }
}

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
  return {
    el,
    update() {
      const { state } = app
      show(el, !state.introGone)
      if (state.introGone) return
      const mine = state.agents.filter((agent) => agent.owned && agent.state !== 'retired')
      const server = state.peers.some((peer) => peer.kind === 'server' && peer.link !== 'none')
      const serverIds = new Set(state.peers.filter((peer) => peer.kind === 'server').map((peer) => peer.id))
      const words = introWords({
        here: mine.find((agent) => agent.here),
        onServer: server ? mine.find((agent) => serverIds.has(agent.host)) : undefined,
        server,
        others: state.peers.some((peer) => peer.id !== app.node.id && peer.link !== 'none'),
      })
      setText(over, words.over)
      setText(title, words.title)
      setText(text, words.text)
    },
  }
}
