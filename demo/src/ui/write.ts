/**
 * Writing to an agent: text from a field, keys and points from its picture.
 *
 * @module
 */

import { fail } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import { h, type Piece, setText, show } from '../dom.ts'
import { type App, liveOf } from '../state.ts'
import { plural } from '../words.ts'
import { icon } from './icons.ts'
import { surface } from './view.ts'

/** The inbox takes 64 KiB a message. */
const MAX_MESSAGE_BYTES = 64 * 1024
/** Keys held down must not fill an inbox. */
const MAX_KEYS_UNDER_WAY = 4
const MAX_VIEW_CHARS = 16_384

export const liveView = (app: App, id: string): Piece<AgentStatus> => {
  const shown = surface(MAX_VIEW_CHARS)
  const nothing = h('p', { class: 'dim' })
  const keysHint = h('p', {
    class: 'hint',
    text: 'Click it, or focus it and press keys: each is sent to the agent. Esc leaves it.',
  })
  const { canvas } = shown
  canvas.tabIndex = 0
  canvas.setAttribute('role', 'application')
  canvas.setAttribute('aria-label', 'What the agent shows. Keys that you press here are sent to it; Esc leaves it.')
  let underWay = 0
  const send = async (message: string): Promise<void> => {
    if (underWay >= MAX_KEYS_UNDER_WAY) return
    underWay++
    try {
      await app.node.agent(id).send(message)
    } catch (error) {
      fail(app, id, 'It did not get that', error)
    } finally {
      underWay--
    }
  }
  canvas.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation()
      canvas.blur()
      canvas.closest<HTMLElement>('.panel')?.focus()
      return
    }
    if (event.key === 'Tab' || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    void send(`key:${event.key}`)
  })
  canvas.addEventListener('pointerdown', (event) => {
    const box = canvas.getBoundingClientRect()
    const x = Math.floor(((event.clientX - box.left) / box.width) * canvas.width)
    const y = Math.floor(((event.clientY - box.top) / box.height) * canvas.height)
    if (x >= 0 && y >= 0 && x < canvas.width && y < canvas.height) void send(`tap:${x},${y}`)
  })

  const input = h('input', {
    class: 'field',
    id: 'message-input',
    attr: {
      type: 'text',
      'aria-label': 'Message to the agent',
      placeholder: 'Write to it…',
      autocomplete: 'off',
      enterkeyhint: 'send',
    },
  })
  const button = h('button', { class: 'button', id: 'message-send', attr: { type: 'submit' } }, icon('send'), 'Send')
  const receipt = h('p', { class: 'hint', id: 'message-receipt', attr: { role: 'status' } })
  const form = h(
    'form',
    {
      class: 'write row',
      on: {
        submit: async (event: SubmitEvent) => {
          event.preventDefault()
          const text = input.value
          if (text === '' || button.disabled) return
          if (new TextEncoder().encode(text).length > MAX_MESSAGE_BYTES) {
            setText(receipt, 'Too long: a message holds at most 64 KiB.')
            return
          }
          button.disabled = true
          setText(receipt, 'On its way…')
          try {
            await app.node.agent(id).send(text)
            if (input.value === text) input.value = ''
            setText(receipt, 'It is in its inbox, for good.')
          } catch (error) {
            setText(receipt, '')
            fail(app, id, 'The message did not arrive', error)
          } finally {
            button.disabled = false
          }
        },
      },
    },
    input,
    button,
  )
  const el = h(
    'section',
    { class: 'part live', attr: { 'aria-label': 'What it shows' } },
    shown.el,
    keysHint,
    nothing,
    form,
    receipt,
  )
  return {
    el,
    update(status) {
      // Of an agent elsewhere it may not be known yet what it may use.
      const may = (capability: string): boolean => status.capabilities.length === 0 || status.capabilities.includes(capability)
      const live = liveOf(app.state, id)
      const some = shown.update(live.view?.view)
      show(shown.el, some)
      show(keysHint, live.view?.view.kind === 'rgba')
      show(nothing, !some)
      setText(
        nothing,
        live.lost !== undefined
          ? `It cannot be watched now. ${live.lost}`
          : may('view')
            ? 'It has shown nothing yet.'
            : 'It shows nothing; its log is below.',
      )
      const reads = may('inbox') && status.state !== 'retired'
      show(form, reads)
      if (status.inbox > 0 && reads) setText(receipt, `${plural(status.inbox, 'message')} waiting to be read.`)
      else if (receipt.textContent?.endsWith('waiting to be read.') === true) setText(receipt, 'It has read its messages.')
    },
  }
}
