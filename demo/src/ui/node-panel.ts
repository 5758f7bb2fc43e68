/**
 * This tab as a node: its name and addresses, its memory, its keys, and other nodes to connect to.
 *
 * @module
 */
import { fail, open } from '../actions.ts'
import { copyText } from '../clipboard.ts'
import { h, type Piece, setText, show } from '../dom.ts'
import { saveFile } from '../files.ts'
import { sendsHome, setSendsHome } from '../home.ts'
import type { App } from '../state.ts'
import { bytes, fileName, plural } from '../words.ts'
import { icon } from './icons.ts'
import { keysPart } from './keys.ts'
import { problemBox } from './problem.ts'

/** A node that has not answered by then will not. */
const CONNECT_MS = 15_000
const PLACE = 'node'

export const nodePanel = (app: App): Piece<undefined> => {
  const { node } = app
  const addresses = h('ul', { class: 'addresses' })
  const noAddress = h('p', { class: 'dim', text: 'None yet. Others reach this tab through the server.' })
  const storage = h('p', { id: 'storage' })
  const keep = h(
    'button',
    {
      class: 'button small',
      id: 'keep-storage',
      attr: { type: 'button' },
      on: {
        click: async () => {
          const granted = await navigator.storage.persist().catch(() => false)
          if (app.state.usage) app.state.usage = { ...app.state.usage, persistent: granted }
          setText(
            kept,
            granted
              ? ''
              : 'The browser did not promise it. It often does once you have used this page for a while, or bookmarked it. Until then, save copies or move agents to a server.',
          )
          app.changed()
        },
      },
    },
    'Ask the browser to keep it',
  )
  const kept = h('p', { class: 'hint', attr: { role: 'status' } })
  const home = h('input', {
    id: 'home-when-hidden',
    attr: { type: 'checkbox', ...(sendsHome() ? { checked: '' } : {}) },
    on: { change: () => setSendsHome(home.checked) },
  })
  const homePart = h(
    'section',
    { class: 'part' },
    h('header', { class: 'part-head' }, h('h3', { text: 'When nobody looks' })),
    h('label', { class: 'toggle' }, home, h('span', { text: 'Send my agents to the server when this page is hidden' })),
    h('p', { class: 'dim', text: 'Phones and tablets put hidden pages to sleep; the server does not sleep.' }),
  )
  const problem = problemBox(() => {
    app.state.problems.delete(PLACE)
    app.changed()
  })

  const address = h('input', {
    class: 'field',
    id: 'connect-input',
    attr: {
      type: 'text',
      'aria-label': 'Address of a node',
      placeholder: '/dns4/example.org/tcp/443/wss/p2p/12D3…',
      autocomplete: 'off',
      spellcheck: 'false',
    },
  })
  const connect = h('button', { class: 'button', id: 'connect', attr: { type: 'submit' }, text: 'Connect' })
  const connected = h('p', { class: 'hint', attr: { role: 'status' } })
  const form = h(
    'form',
    {
      class: 'row',
      on: {
        submit: async (event: SubmitEvent) => {
          event.preventDefault()
          const to = address.value.trim()
          if (to === '' || connect.disabled) return
          connect.disabled = true
          app.state.problems.delete(PLACE)
          setText(connected, 'Connecting…')
          try {
            await node.connect(to, { signal: AbortSignal.timeout(CONNECT_MS) })
            setText(connected, 'Connected.')
            address.value = ''
          } catch (error) {
            setText(connected, '')
            fail(app, PLACE, 'No connection', error)
          } finally {
            connect.disabled = false
          }
        },
      },
    },
    address,
    connect,
  )
  const saveReady = async (): Promise<void> => {
    try {
      saveFile(fileName(`${node.name}`, '.ready'), await node.ready())
      app.announce('Saved the ready file.')
    } catch (error) {
      fail(app, PLACE, 'No ready file', error)
    }
  }
  const copyId = h(
    'button',
    {
      class: 'icon-button',
      attr: { type: 'button', 'aria-label': 'Copy the peer id', title: 'Copy the peer id' },
      on: { click: () => void copyText(app, 'the peer id', node.id, copyId) },
    },
    icon('copy'),
  )
  const el = h(
    'div',
    { class: 'panel-inner', id: 'node-panel' },
    h(
      'header',
      { class: 'panel-head' },
      h('span', { class: 'island-icon' }, icon('tab')),
      h(
        'div',
        { class: 'panel-who' },
        h('h2', { attr: { id: 'panel-title', tabindex: -1 } }, h('bdi', { text: node.name })),
        h('p', { class: 'dim', text: 'This tab, as a node' }),
      ),
      h(
        'div',
        { class: 'panel-tools' },
        h(
          'button',
          {
            class: 'icon-button',
            id: 'panel-close',
            attr: { type: 'button', 'aria-label': 'Close', title: 'Close (Esc)' },
            on: { click: () => open(app, undefined) },
          },
          icon('close'),
        ),
      ),
    ),
    problem.el,
    h('section', { class: 'part' }, h('header', { class: 'part-head' }, h('h3', { text: 'Memory' })), storage, keep, kept),
    homePart,
    keysPart(app, PLACE),
    h(
      'section',
      { class: 'part' },
      h('header', { class: 'part-head' }, h('h3', { text: 'Another node' })),
      h('p', { class: 'dim', text: 'Tabs of this page find each other. Any other node: by its address, as igor up prints it.' }),
      form,
      connected,
    ),
    h(
      'section',
      { class: 'part' },
      h('header', { class: 'part-head' }, h('h3', { text: 'An agent by file' })),
      h('p', {
        class: 'dim',
        text: 'For someone whose node cannot reach this one: with this file they can send you one agent, within a day.',
      }),
      h(
        'button',
        { class: 'button small', id: 'save-ready', attr: { type: 'button' }, on: { click: () => void saveReady() } },
        icon('save'),
        'Save my ready file',
      ),
    ),
    h(
      'details',
      { class: 'part more' },
      h('summary', { text: 'Addresses' }),
      h('p', { class: 'mono row' }, h('span', { text: node.id, id: 'peer-id' }), copyId),
      addresses,
      noAddress,
    ),
  )
  let shown = ''
  return {
    el,
    update() {
      const { usage } = app.state
      const here = app.state.agents.filter((agent) => agent.here && agent.state !== 'retired').length
      setText(
        storage,
        usage === undefined
          ? 'Measuring…'
          : `${bytes(usage.used)} in use for ${plural(here, 'agent')}${usage.quota === undefined ? '' : ` of ${bytes(usage.quota)} that the browser allows`}. ${
              usage.persistent
                ? 'The browser has promised to keep it.'
                : 'The browser may clear it when the disk is full or the page long unused, and the agents that live here with it.'
            }`,
      )
      show(homePart, app.state.site !== undefined)
      show(keep, usage?.persistent === false)
      problem.update(app.state.problems.get(PLACE))
      const list = node.multiaddrs.join('\n')
      if (list !== shown) {
        shown = list
        addresses.replaceChildren(...node.multiaddrs.map((text) => h('li', { class: 'mono', text })))
      }
      show(noAddress, node.multiaddrs.length === 0)
    },
  }
}
