/**
 * What happened, one line at the foot of the page; opens to the last hundred.
 *
 * @module
 */
import { h, keyed, setAttr, setText, show } from '../dom.ts'
import type { Activity, App } from '../state.ts'
import { timeOfDay } from '../words.ts'
import { icon } from './icons.ts'

const ICONS = { info: 'info', warn: 'warn', error: 'warn' } as const

export const activityBar = (app: App): { readonly el: HTMLElement; update(): void } => {
  const lastIcon = h('span')
  const text = h('bdi', { class: 'activity-text', id: 'activity-last' })
  const time = h('span', { class: 'dim' })
  const list = h('ol', { class: 'activity-list', id: 'activity-list', attr: { 'aria-label': 'What happened' } })
  list.hidden = true
  const toggle = h(
    'button',
    {
      class: 'activity-line',
      id: 'activity',
      attr: { type: 'button', 'aria-expanded': 'false' },
      on: {
        click: () => {
          show(list, list.hidden !== false)
          setAttr(toggle, 'aria-expanded', list.hidden ? 'false' : 'true')
          if (!list.hidden) list.scrollTop = 0
        },
      },
    },
    lastIcon,
    text,
    time,
    icon('up', 'icon turn'),
  )
  const el = h('footer', { class: 'activity' }, list, toggle)
  const reconcile = keyed<Activity>(
    list,
    (entry) => String(entry.id),
    (entry) => ({
      el: h(
        'li',
        { attr: { 'data-level': entry.level } },
        icon(ICONS[entry.level]),
        h('bdi', { text: entry.text }),
        h('time', { class: 'dim', text: timeOfDay(entry.time) }),
      ),
      update: () => {},
    }),
  )
  let shown = -1
  return {
    el,
    update() {
      const last = app.state.activity.at(-1)
      show(el, last !== undefined)
      if (!last || last.id === shown) return
      shown = last.id
      lastIcon.replaceChildren(icon(ICONS[last.level]))
      toggle.dataset.level = last.level
      setText(text, last.text)
      setText(time, timeOfDay(last.time))
      reconcile([...app.state.activity].reverse())
    },
  }
}
