/**
 * The state of an agent: a word, a shape and a colour, never the colour alone.
 *
 * @module
 */
import type { AgentState } from '../api.ts'
import { h, type Piece } from '../dom.ts'
import { STATES } from '../words.ts'
import { icon, STATE_ICONS } from './icons.ts'

export const stateChip = (): Piece<AgentState> => {
  const el = h('span', { class: 'chip', id: 'state' })
  let shown: AgentState | undefined
  return {
    el,
    update(state) {
      if (state === shown) return
      shown = state
      el.dataset.state = state
      el.title = STATES[state].meaning
      el.replaceChildren(icon(STATE_ICONS[state]), STATES[state].word)
    },
  }
}
