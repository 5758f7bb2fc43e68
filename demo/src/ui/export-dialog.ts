/**
 * Sending an agent away in a file that one node, and no other, can let go on.
 *
 * @module
 */
import { act } from '../actions.ts'
import type { AgentStatus } from '../api.ts'
import { h, setText } from '../dom.ts'
import { chooseFiles, readBytes, saveFile } from '../files.ts'
import type { App } from '../state.ts'
import { fileName, LINKS } from '../words.ts'
import { openDialog } from './dialog.ts'
import { icon } from './icons.ts'

/** A ready is a few hundred bytes. */
const MAX_READY_BYTES = 4096

export const openExportFor = (app: App, status: AgentStatus): void => {
  const said = h('p', { class: 'hint', attr: { role: 'status' } })
  const send = async (to: string | Uint8Array, whom: string): Promise<void> => {
    dialog.close()
    await act(app, status.agent, 'saving', `${status.name} was not exported`, async (agent) => {
      const file = await agent.export({ to })
      saveFile(fileName(`${status.name}-for-${whom}`, '.car'), file, 'application/vnd.ipld.car')
      app.note('info', `${status.name} left in a file for ${whom}. Only that node can let it go on.`, status.agent)
      app.announce(`${status.name} left in a file for ${whom}.`)
    })
  }
  const useReady = async (file: File | undefined): Promise<void> => {
    if (!file) return
    if (file.size === 0 || file.size > MAX_READY_BYTES) {
      setText(said, `${file.name} is not a ready file: those are smaller than 4 KiB.`)
      return
    }
    await send(await readBytes(file), file.name.replace(/\.[^.]*$/, ''))
  }
  const peers = app.state.peers.filter((peer) => peer.id !== app.node.id && peer.link !== 'none')
  const readyBox = h(
    'button',
    {
      class: 'drop-box',
      id: 'ready-file',
      attr: { type: 'button' },
      on: {
        click: async () => useReady((await chooseFiles('', false))[0]),
        dragover: (event: DragEvent) => event.preventDefault(),
        drop: (event: DragEvent) => {
          event.preventDefault()
          event.stopPropagation()
          void useReady(event.dataTransfer?.files[0])
        },
      },
    },
    icon('file'),
    'Choose its ready file, or drop it here',
  )
  const dialog = openDialog(
    `Send ${status.name} away in a file`,
    'export-dialog',
    h('p', {
      text: 'It stops here and leaves in a .car file. Only the node you name can let it go on; until that node has it, this one can make the same file again.',
    }),
    h('h3', { text: 'A node that is connected' }),
    peers.length > 0
      ? h(
          'div',
          { class: 'choices' },
          ...peers.map((peer) =>
            h(
              'button',
              {
                class: 'choice',
                attr: { type: 'button', 'data-peer': peer.id },
                on: { click: () => void send(peer.id, peer.name) },
              },
              icon(peer.kind === 'server' ? 'server' : 'tab'),
              h('bdi', { text: peer.name }),
              peer.link !== 'none' && h('small', { text: LINKS[peer.link].word }),
            ),
          ),
        )
      : h('p', { class: 'dim', text: 'None is connected now.' }),
    h('h3', { text: 'A node that is not connected' }),
    h('p', { text: 'Bring its ready file: from its page, “This tab”, or from its command line, igor id --ready.' }),
    readyBox,
    said,
  )
}
