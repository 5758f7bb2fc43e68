/**
 * The owner's keys: whoever holds them commands the agents. Backup and import.
 *
 * @module
 */
import { fail } from '../actions.ts'
import { h, setText } from '../dom.ts'
import { chooseFiles, saveFile } from '../files.ts'
import { seedsIn } from '../seeds.ts'
import type { App } from '../state.ts'
import { fileName, plural } from '../words.ts'
import { openDialog } from './dialog.ts'
import { icon } from './icons.ts'

const MAX_BACKUP_BYTES = 64 * 1024

export const keysPart = (app: App, place: string): HTMLElement => {
  const { node } = app
  const backup = async (): Promise<void> => {
    try {
      const seeds = await node.exportKeys()
      const text = [
        '# Igor: keys of an owner of agents. Whoever has this file commands them. Keep it secret, keep it safe.',
        `# From ${node.name}, ${new Date().toISOString()}. Import on a page under "This tab", or with: igor keys import`,
        ...seeds,
        '',
      ].join('\n')
      saveFile(fileName(`igor-keys-${node.name}`, '.txt'), text, 'text/plain')
      app.announce(`Saved a backup of ${plural(seeds.length, 'key')}.`)
    } catch (error) {
      fail(app, place, 'The keys were not saved', error)
    }
  }
  const bring = (): void => {
    const field = h('textarea', {
      class: 'field mono',
      id: 'keys-input',
      attr: {
        rows: 4,
        'aria-label': 'Keys',
        placeholder: '64 hexadecimal digits, one key a line',
        spellcheck: 'false',
        autocomplete: 'off',
      },
    })
    const note = h('p', { class: 'hint', attr: { role: 'alert' } })
    const take = async (): Promise<void> => {
      const seeds = seedsIn(field.value)
      if (seeds.length === 0) {
        setText(note, 'There is no key in that: a key is 64 hexadecimal digits.')
        return
      }
      try {
        for (const seed of seeds) await node.importKey(seed)
        app.note('info', `Added ${plural(seeds.length, 'key')}. Agents that they own are yours to command here.`)
        app.announce(`Added ${plural(seeds.length, 'key')}.`)
        dialog.close()
      } catch (error) {
        dialog.close()
        fail(app, place, 'The keys were not added', error)
      }
    }
    const choose = async (): Promise<void> => {
      const [file] = await chooseFiles('.txt,text/plain', false)
      if (!file) return
      if (file.size > MAX_BACKUP_BYTES) setText(note, `${file.name} is too large for a backup of keys.`)
      else field.value = await file.text()
    }
    const dialog = openDialog(
      'Add keys from a backup',
      'keys-dialog',
      h('p', {
        text: 'With an owner’s key, this browser can move, pause and retire the agents of that owner, wherever they live.',
      }),
      field,
      note,
      h(
        'div',
        { class: 'dialog-actions' },
        h('button', { class: 'button', text: 'From a file…', attr: { type: 'button' }, on: { click: () => void choose() } }),
        h('button', {
          class: 'button primary',
          id: 'keys-add',
          text: 'Add',
          attr: { type: 'button' },
          on: { click: () => void take() },
        }),
      ),
    )
  }
  return h(
    'section',
    { class: 'part' },
    h('header', { class: 'part-head' }, h('h3', { text: 'Keys' })),
    h('p', {
      class: 'dim',
      text: 'The agents you start belong to a key in this browser. Keep a backup: with it you command them from anywhere, and bring them back from a copy.',
    }),
    h(
      'div',
      { class: 'row' },
      h(
        'button',
        { class: 'button small', id: 'keys-export', attr: { type: 'button' }, on: { click: () => void backup() } },
        icon('key'),
        'Save a backup',
      ),
      h(
        'button',
        { class: 'button small quiet', id: 'keys-import', attr: { type: 'button' }, on: { click: bring } },
        'Add keys…',
      ),
    ),
  )
}
