/**
 * An agent's file: what it says, checked, and whether it can go on here.
 *
 * @module
 */
import type { Summary } from '@igor/lineage'
import { fail, open } from '../actions.ts'
import { h, setText, show } from '../dom.ts'
import { MAX_FILE_BYTES, readBytes } from '../files.ts'
import { inspectFile, replayFile } from '../inspect.ts'
import { nameOfPeer, placeOf } from '../names.ts'
import type { App } from '../state.ts'
import { bytes, codeOf, count, dateTime, plural, said, shortId, tidy } from '../words.ts'
import { creature } from './creature.ts'
import { openDialog } from './dialog.ts'
import { icon } from './icons.ts'
import { replayBox } from './replay.ts'

interface Plan {
  readonly text: string
  readonly button: string | undefined
}

const planFor = (app: App, agent: NonNullable<Summary['agent']>): Plan => {
  const { status, by, to } = agent.authority
  if (status === 'offered' && to === app.node.id)
    return { text: 'It was sent to this tab, and to no other node.', button: 'Let it go on here' }
  if (status === 'offered') {
    return { text: `It was sent to ${nameOfPeer(app.node, to ?? '')}. Only that node can let it go on.`, button: undefined }
  }
  if (status === 'retired') return { text: 'It was retired. Its owner can bring it back from here.', button: 'Bring it back' }
  const known = app.state.agents.find((each) => each.agent === agent.agent && each.state !== 'retired')
  if (known && known.tick >= agent.tick) {
    return {
      text: `A copy. The agent itself lives ${placeOf(app.node, known.host)}, at tick ${count(known.tick)}: nothing to bring back.`,
      button: undefined,
    }
  }
  return {
    text: `A copy, made while it lived ${placeOf(app.node, by)}. A copy proves its history; only its owner can let it go on from one.`,
    button: 'Recover it here',
  }
}

/** Shows a `.car` file and asks what to do with it. */
export const openImport = async (app: App, file: File): Promise<void> => {
  if (file.size > MAX_FILE_BYTES) {
    fail(app, 'drop', 'Not opened', new Error(`${file.name} is larger than an agent can be (256 MiB).`))
    return
  }
  const body = h('div', { class: 'import-body' }, h('p', { class: 'dim', text: 'Checking it from genesis to head…' }))
  const problem = h('p', { class: 'import-problem', id: 'import-problem', attr: { role: 'alert' } })
  problem.hidden = true
  const actions = h('div', { class: 'dialog-actions' })
  const dialog = openDialog(tidy(file.name, 60), 'import-dialog', body, problem, actions)
  const complain = (text: string): void => {
    setText(problem, text)
    show(problem, true)
  }
  let contents: Uint8Array
  let summary: Summary
  try {
    contents = await readBytes(file)
    summary = await inspectFile(contents)
  } catch (error) {
    body.replaceChildren()
    complain(said(error))
    return
  }
  const { agent } = summary
  if (!agent || !summary.verified) {
    body.replaceChildren(
      h('p', { class: 'verdict', attr: { 'data-verdict': 'failed' }, text: 'This file does not hold.' }),
      h('p', { text: summary.error ? said(new Error(summary.error.message)) : 'Its history could not be verified.' }),
      h('p', {
        class: 'dim',
        text: `${bytes(summary.bytes)}, ${plural(summary.recordCount, 'record')}${summary.error ? `; ${summary.error.code}` : ''}. Nothing was changed. Ask for the file again: it was cut or altered on its way.`,
      }),
    )
    return
  }
  const plan = planFor(app, agent)
  const replay = replayBox(app, (options) => replayFile(contents, options))
  dialog.el.addEventListener('close', replay.dispose)
  body.replaceChildren(
    h(
      'div',
      { class: 'panel-head' },
      h('div', { class: 'agent-being' }, creature(agent.agent).el),
      h(
        'div',
        { class: 'panel-who' },
        h('h3', {}, h('bdi', { text: agent.name })),
        h('p', { class: 'dim', text: `${shortId(agent.agent)} · tick ${count(agent.tick)} · born ${dateTime(agent.born)}` }),
      ),
    ),
    h(
      'p',
      { class: 'verdict', attr: { 'data-verdict': 'ok' } },
      icon('check'),
      `Verified: ${plural(summary.recordCount, 'record')}, ${plural(agent.hosts.length, 'stay')}, no break.`,
    ),
    h(
      'ol',
      { class: 'stay-list' },
      ...agent.hosts
        .slice(-6)
        .map((host) =>
          h(
            'li',
            {},
            h('bdi', { text: nameOfPeer(app.node, host.peer) }),
            h('span', { class: 'dim', text: `from tick ${count(host.tick)}` }),
          ),
        ),
    ),
    replay.el,
    h('p', { text: plan.text }),
  )
  const bring = async (force: boolean, button: HTMLButtonElement): Promise<void> => {
    button.disabled = true
    show(problem, false)
    try {
      const arrived = await app.node.import(contents, force ? { force } : {})
      dialog.close()
      app.note('info', `${arrived.status.name} goes on in this tab`, arrived.id)
      app.announce(`${arrived.status.name} goes on in this tab.`)
      open(app, { kind: 'agent', id: arrived.id })
    } catch (error) {
      button.disabled = false
      complain(`${agent.name} did not go on here. ${said(error)}`)
      problem.dataset.code = codeOf(error) ?? ''
      if (!force && codeOf(error) !== 'NOT_OWNER' && agent.authority.status === 'held') offerForce()
    }
  }
  const offerForce = (): void => {
    const sure = h('input', { attr: { type: 'checkbox', id: 'force-sure' } })
    const go = h('button', {
      class: 'button danger',
      id: 'import-force',
      text: 'Force it',
      attr: { type: 'button', disabled: true },
    })
    sure.addEventListener('change', () => {
      go.disabled = !sure.checked
    })
    go.addEventListener('click', () => void bring(true, go))
    actions.replaceChildren(
      h(
        'label',
        { class: 'sure', attr: { for: 'force-sure' } },
        sure,
        `I know that ${nameOfPeer(app.node, agent.authority.by)} is gone for good. If it is not, the agent lives twice, and everyone can see that I said so.`,
      ),
      go,
    )
  }
  const { button } = plan
  if (button !== undefined) {
    const go: HTMLButtonElement = h('button', {
      class: 'button primary',
      id: 'import-go',
      text: button,
      attr: { type: 'button' },
      on: { click: () => void bring(false, go) },
    })
    actions.append(go)
    go.focus()
  }
}
