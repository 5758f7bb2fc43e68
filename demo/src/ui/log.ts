/**
 * The log of an agent, newest at the bottom; stays where a person scrolled to.
 *
 * @module
 */
import { h, show } from '../dom.ts'
import { type Live, MAX_LOG_LINES } from '../state.ts'
import { count, tidy, timeOfDay } from '../words.ts'

const MAX_SHOWN_CHARS = 4096

export interface LogView {
  readonly el: HTMLElement
  update(live: Live | undefined, emptyWord: string): void
}

export const logView = (): LogView => {
  const list = h('ol', { class: 'log', id: 'log', attr: { role: 'log', 'aria-live': 'off', 'aria-label': 'Log', tabindex: 0 } })
  const empty = h('p', { class: 'dim' })
  const el = h('div', { class: 'log-box' }, list, empty)
  let shown = 0
  return {
    el,
    update(live, emptyWord) {
      const logged = live?.logged ?? 0
      show(empty, logged === 0)
      show(list, logged > 0)
      if (empty.textContent !== emptyWord) empty.textContent = emptyWord
      if (!live || logged === shown) return
      const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
      const fresh = live.log.slice(-Math.min(logged - shown, live.log.length))
      list.append(
        ...fresh.map((line) =>
          h(
            'li',
            { attr: { title: Number.isFinite(line.time) ? timeOfDay(line.time) : '' } },
            h('span', { class: 'log-tick', text: count(line.tick) }),
            h('bdi', { class: 'log-text', text: tidy(line.text, MAX_SHOWN_CHARS) }),
          ),
        ),
      )
      while (list.childElementCount > MAX_LOG_LINES) list.firstElementChild?.remove()
      shown = logged
      if (atEnd) list.scrollTop = list.scrollHeight
    },
  }
}
