/**
 * Adding to an agent's budget.
 *
 * @module
 */
import { act } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import { h, setText } from '../dom.ts'
import { money, parseMoney } from '../money.ts'
import type { App } from '../state.ts'
import { openDialog } from './dialog.ts'

export const openFund = (app: App, status: AgentStatus): void => {
  const amount = h('input', {
    class: 'field',
    id: 'fund-amount',
    attr: {
      type: 'text',
      inputmode: 'decimal',
      'aria-label': 'How much',
      placeholder: '1.5',
      autocomplete: 'off',
      autofocus: '',
    },
  })
  const wrong = h('p', { class: 'hint', attr: { role: 'status' } })
  const dialog = openDialog(
    `Add funds to ${status.name}`,
    'fund-dialog',
    h('p', { text: `It has ${money(status.budget)} now. Hosts that ask a price take it from there as the agent runs.` }),
    h(
      'form',
      {
        class: 'row',
        on: {
          submit: (event: SubmitEvent) => {
            event.preventDefault()
            const value = parseMoney(amount.value)
            if (value === undefined) {
              setText(wrong, 'An amount, such as 1.5, with at most six digits after the point.')
              return
            }
            dialog.close()
            void act(app, status.agent, 'funding', `${status.name} was not funded`, async (agent) => {
              await agent.fund(value)
              app.note('info', `${status.name} got ${money(value)}`, status.agent)
              app.announce(`${status.name} got ${money(value)}.`)
            })
          },
        },
      },
      amount,
      h('button', { class: 'button primary', id: 'fund-yes', attr: { type: 'submit' }, text: 'Add' }),
    ),
    wrong,
  )
}
