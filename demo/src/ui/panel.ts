/**
 * The place at the side (or over the page, where it is narrow) that shows one agent, or this node.
 *
 * @module
 */
import { open } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import { h, type Piece, setAttr, show } from '../dom.ts'
import { type App, agentOf } from '../state.ts'
import { agentPanel } from './agent-panel.ts'
import { nodePanel } from './node-panel.ts'
import type { Sea } from './sea.ts'

/** From here on there is room for both; style.css says the same. */
const WIDE = '(min-width: 1080px)'

export const panel = (app: App, sea: Sea, behind: readonly HTMLElement[]): { readonly el: HTMLElement; update(): void } => {
  const el = h('aside', { class: 'panel', id: 'panel', attr: { 'aria-labelledby': 'panel-title', tabindex: -1 } })
  el.hidden = true
  const wide = matchMedia(WIDE)
  let key: string | undefined
  let agent: Piece<AgentStatus> | undefined
  let node: Piece<undefined> | undefined
  let cameFrom: Element | undefined

  const clear = (): void => {
    agent?.dispose?.()
    node?.dispose?.()
    agent = undefined
    node = undefined
    el.replaceChildren()
  }

  const goBack = (): void => {
    const card = key?.startsWith('did:') === true ? sea.cardOf(key)?.querySelector<HTMLElement>('.agent-open') : undefined
    const target = cameFrom instanceof HTMLElement && cameFrom.isConnected ? cameFrom : card
    target?.focus({ preventScroll: true })
  }

  addEventListener('keydown', (event) => {
    if (
      event.key === 'Escape' &&
      !event.defaultPrevented &&
      app.state.open &&
      !document.querySelector('dialog[open], [popover]:popover-open')
    ) {
      open(app, undefined)
    }
  })

  return {
    el,
    update() {
      const what = app.state.open
      const status = what?.kind === 'agent' ? agentOf(app.state, what.id) : undefined
      const next = what?.kind === 'node' ? 'node' : status?.agent
      if (next !== key) {
        const had = key !== undefined
        const inside = el.contains(document.activeElement)
        clear()
        if (next === undefined) {
          if (inside || !wide.matches) goBack()
          key = undefined
          cameFrom = undefined
        } else {
          if (!had) cameFrom = document.activeElement ?? undefined
          key = next
          if (next === 'node') {
            node = nodePanel(app)
            el.append(node.el)
          } else {
            agent = agentPanel(app, next, sea.map)
            el.append(agent.el)
          }
          el.scrollTop = 0
        }
        show(el, next !== undefined)
        setAttr(document.body, 'data-panel', next !== undefined)
        // Whoever opened it goes on from here by keyboard.
        if (next !== undefined) el.querySelector<HTMLElement>('#panel-title')?.focus({ preventScroll: true })
      }
      const covers = next !== undefined && !wide.matches
      for (const other of behind) other.inert = covers
      if (status) agent?.update(status)
      node?.update(undefined)
    },
  }
}
