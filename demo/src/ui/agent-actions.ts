/**
 * The buttons of an agent: move, pause, export, retire. Whoever lacks the owner's key sees why they rest.
 *
 * @module
 */
import { act, pauseAgent, recoverAgent, resumeAgent, retireAgent, upgradeAgent } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import { type Archipelago, mayOrder } from '../archipelago.ts'
import { h, type Piece, setAttr, setText, show } from '../dom.ts'
import { chooseFiles, saveFile } from '../files.ts'
import { placeOf, withNames } from '../names.ts'
import { type App, agentOf } from '../state.ts'
import { count, fileName } from '../words.ts'
import { openMoveMenu } from './card.ts'
import { confirm } from './dialog.ts'
import { openExportFor } from './export-dialog.ts'
import { openFund } from './fund-dialog.ts'
import { type IconName, icon } from './icons.ts'
import { openMenu } from './menu.ts'

export const saveCopy = (app: App, status: AgentStatus): Promise<boolean> =>
  act(app, status.agent, 'saving', `${status.name} was not saved`, async (agent) => {
    const file = await agent.export()
    saveFile(fileName(`${status.name}-tick-${status.tick}`, '.car'), file, 'application/vnd.ipld.car')
    if (status.state === 'moving') return
    app.state.saved.set(status.agent, status.tick)
    app.note('info', `Saved a copy of ${status.name}, at about tick ${count(status.tick)}. It goes on where it is.`, status.agent)
    app.announce(`Saved a copy of ${status.name}.`)
  })

export const agentActions = (app: App, id: string, map: () => Archipelago): Piece<AgentStatus> => {
  const now = (): AgentStatus | undefined => agentOf(app.state, id)
  const button = (
    name: IconName,
    testid: string,
    label: string,
    click: (status: AgentStatus, el: HTMLElement) => void,
    menu = false,
  ) => {
    const words = h('span', { text: label })
    const el = h(
      'button',
      {
        class: 'button',
        id: testid,
        attr: { type: 'button', ...(menu ? { 'aria-haspopup': 'menu', 'aria-expanded': 'false' } : {}) },
        on: {
          click: () => {
            const status = now()
            if (status && el.getAttribute('aria-disabled') !== 'true') click(status, el)
          },
        },
      },
      icon(name),
      words,
    )
    return { el, words }
  }
  const move = button('move', 'action-move', 'Move to…', (_status, el) => openMoveMenu(app, el, id, map), true)
  const pause = button('pause', 'action-pause', 'Pause', (status) => void pauseAgent(app, status))
  const resume = button('play', 'action-resume', 'Resume', (status) => void resumeAgent(app, status))
  const exporter = button(
    'save',
    'action-export',
    'Export…',
    (status, el) => {
      const away = status.here ? {} : { not: `It lives ${placeOf(app.node, status.host)}: move it here first.` }
      // On its way in a file, it can be given that file again, and no other.
      const packed = status.state === 'moving'
      const copy = {
        label: packed ? 'Save its file again' : 'Save a copy',
        detail: packed ? 'The same file, for the same node.' : 'For a look inside, a proof, or recovery. It goes on here.',
        icon: 'file' as const,
        ...away,
        run: () => void saveCopy(app, status),
      }
      const forNode = {
        label: 'Into a file, for one node',
        detail: 'It leaves in the file, and goes on only there.',
        icon: 'out' as const,
        ...away,
        ...(status.owned ? {} : { not: 'Only its owner can send it away.' }),
        run: () => openExportFor(app, status),
      }
      openMenu(el, `Export ${status.name}`, packed ? [copy] : [copy, forNode])
    },
    true,
  )
  const recover = button('play', 'action-recover', 'Recover it here', async (status) => {
    const witnessed = status.witness !== null
    const yes = await confirm({
      title: `Recover ${status.name} here?`,
      text: `${withNames(app.node, status.reason ?? '')} ${
        witnessed
          ? 'Its witness gives it to this tab from the last record that it has, unless somebody still runs it.'
          : 'It has no witness that could say who runs it. If you recover it, it goes on here from what this tab has, and that nobody else goes on with it rests on your word: its history shows that.'
      }`,
      yes: 'Recover it here',
      danger: !witnessed,
    })
    if (yes) await recoverAgent(app, status, !witnessed)
  })
  const retire = button('end', 'action-retire', 'Retire', async (status) => {
    const yes = await confirm({
      title: `Retire ${status.name}?`,
      text: `It stops at its next tick and does not tick again. Its history stays and can be checked. Only its owner could bring it back, from a record of this end.`,
      yes: 'Retire it',
      danger: true,
    })
    if (yes) await retireAgent(app, status)
  })
  const more = button(
    'up',
    'action-more',
    'More…',
    (status, el) =>
      openMenu(el, `More for ${status.name}`, [
        {
          label: 'Add funds',
          detail: 'So that it can pay hosts that ask a price.',
          icon: 'plus',
          run: () => openFund(app, status),
        },
        {
          label: 'New code',
          detail: 'Another .wasm takes over what the old one hands it; if that fails, the old one goes on.',
          icon: 'file',
          run: async () => {
            const [file] = await chooseFiles('.wasm', false)
            if (file) await upgradeAgent(app, status, file)
          },
        },
      ]),
    true,
  )
  const why = h('p', { class: 'hint', id: 'not-owner' })
  const el = h('div', { class: 'actions' }, recover.el, move.el, pause.el, resume.el, exporter.el, more.el, retire.el, why)
  return {
    el,
    update(status) {
      const order = mayOrder(status)
      const busy = app.state.busy.get(id)
      const moving = app.state.runs.has(id) || status.state === 'moving'
      const paused = status.state === 'paused'
      const halted = status.state === 'halted' && status.leaseMs === undefined
      show(recover.el, halted && order.ok)
      setText(recover.words, busy === 'recovering' ? 'Recovering…' : 'Recover it here')
      setAttr(recover.el, 'aria-disabled', busy !== undefined ? 'true' : undefined)
      const rests = status.state === 'faulted' || status.state === 'exhausted'
      show(pause.el, !paused && !rests)
      show(resume.el, paused || rests)
      for (const { el: each } of [move, pause, resume, more, retire]) {
        const off = !order.ok || busy !== undefined || moving || (status.state === 'halted' && each !== retire.el)
        setAttr(each, 'aria-disabled', off ? 'true' : undefined)
      }
      setAttr(exporter.el, 'aria-disabled', busy !== undefined ? 'true' : undefined)
      setText(pause.words, busy === 'pausing' ? 'Pausing…' : 'Pause')
      setText(resume.words, busy === 'resuming' ? 'Resuming…' : 'Resume')
      setText(more.words, busy === 'funding' ? 'Adding…' : busy === 'upgrading' ? 'Upgrading…' : 'More…')
      setText(retire.words, busy === 'retiring' ? 'Retiring…' : 'Retire')
      setText(exporter.words, busy === 'saving' ? 'Saving…' : 'Export…')
      show(why, !order.ok && status.state !== 'retired')
      if (!order.ok)
        setText(
          why,
          `${order.why} You can watch it, write to it and check its history. With the key (This tab → Keys) you can move, pause and retire it.`,
        )
      show(retire.el, status.state !== 'retired')
      show(move.el, status.state !== 'retired')
      show(more.el, status.state !== 'retired')
      if (status.state === 'retired') {
        show(pause.el, false)
        show(resume.el, false)
      }
    },
  }
}
