/**
 * Calm words on top of the page while something is not as it should be: what, and what still works.
 *
 * @module
 */
import { h, keyed, type Piece, setText, show } from '../dom.ts'
import type { App } from '../state.ts'
import { timeOfDay } from '../words.ts'
import { icon } from './icons.ts'
import { problemBox } from './problem.ts'

interface Notice {
  readonly id: string
  readonly title: string
  readonly text: string
  readonly button?: { readonly label: string; readonly run: () => void }
}

const noticesOf = (app: App): Notice[] => {
  const { state, node } = app
  const list: Notice[] = []
  const others = state.peers.filter((peer) => peer.id !== node.id && peer.link !== 'none').length
  // What stays connected while a machine is offline is on the same machine or network, and works on.
  if (!state.online && others === 0) {
    list.push({
      id: 'offline',
      title: 'This machine is offline.',
      text: 'Agents in this tab go on, and everything is kept. The other islands come back with the network.',
    })
  } else if (state.serverLost !== undefined) {
    const away = state.agents.filter((agent) => agent.host === state.site?.peerId && agent.state !== 'retired').length
    list.push({
      id: 'server-lost',
      title: `${state.site?.name ?? 'The server'} has not answered since ${timeOfDay(state.serverLost).slice(0, 5)}.`,
      text: `Agents in this tab go on${others > 0 ? ', and still move between the tabs that see each other' : ''}. A reload works too.${
        away > 0
          ? ` Those on ${state.site?.name ?? 'the server'} are on its disk; what you see of them is the last that was heard.`
          : ''
      }`,
    })
  }
  if (state.newer) {
    list.push({
      id: 'newer',
      title: 'There is a newer version of this page.',
      text: 'Agents stay as they are.',
      button: { label: 'Reload', run: () => location.reload() },
    })
  }
  return list
}

export const notices = (app: App): { readonly el: HTMLElement; update(): void } => {
  const list = h('div')
  const dropProblem = problemBox(() => {
    app.state.problems.delete('drop')
    app.changed()
  })
  const el = h('div', { class: 'notices' }, list, dropProblem.el)
  const reconcile = keyed<Notice>(
    list,
    (notice) => notice.id,
    (first): Piece<Notice> => {
      const title = h('strong')
      const text = h('span')
      const button = h('button', { class: 'button small', attr: { type: 'button' }, on: { click: () => first.button?.run() } })
      return {
        el: h(
          'div',
          { class: 'notice', id: 'notice', attr: { 'data-notice': first.id } },
          icon('info'),
          h('p', {}, title, ' ', text),
          button,
        ),
        update(notice) {
          setText(title, notice.title)
          setText(text, notice.text)
          setText(button, notice.button?.label ?? '')
          show(button, notice.button !== undefined)
        },
      }
    },
  )
  return {
    el,
    update() {
      reconcile(noticesOf(app))
      dropProblem.update(app.state.problems.get('drop'))
    },
  }
}
