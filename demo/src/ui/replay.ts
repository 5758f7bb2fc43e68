/**
 * Running an agent's history again: the button, how far it is, and what came out.
 *
 * @module
 */
import type { Replay, ReplayOptions } from '../api.ts'
import { h, setAttr, setText, show } from '../dom.ts'
import { nameOfPeer } from '../names.ts'
import { progressWords, replayWords } from '../replay-words.ts'
import type { App } from '../state.ts'
import { said } from '../words.ts'
import { icon } from './icons.ts'

const LABEL = 'Verify by running it again'

/** @param run rejects with the signal's reason when it is stopped */
export const replayBox = (
  app: App,
  run: (options: ReplayOptions) => Promise<Replay>,
): { readonly el: HTMLElement; dispose(): void } => {
  let running: AbortController | undefined
  const word = h('span', { text: LABEL })
  const bar = h('progress', { id: 'replay-progress', attr: { 'aria-label': 'Running it again', max: 1 } })
  const far = h('span', { class: 'dim' })
  const way = h('p', { class: 'replay-way' }, bar, far)
  const verdict = h('p', { class: 'verdict', id: 'replay-verdict', attr: { role: 'status' } })
  const start = async (): Promise<void> => {
    const mine = new AbortController()
    running = mine
    setText(word, 'Stop')
    setText(verdict, '')
    delete verdict.dataset.verdict
    setText(far, 'Reading its journals…')
    bar.removeAttribute('value')
    show(way, true)
    try {
      const found = await run({
        signal: mine.signal,
        onprogress: (progress) => {
          bar.value = progress.ofTicks === 0 ? 0 : progress.ticks / progress.ofTicks
          setText(far, progressWords(progress))
        },
      })
      const words = replayWords(found, (peer) => nameOfPeer(app.node, peer))
      verdict.dataset.verdict = words.verdict
      setText(verdict, words.text)
    } catch (error) {
      if (mine.signal.aborted) return
      verdict.dataset.verdict = 'asserted'
      setText(verdict, `It could not be run again. ${said(error)}`)
    } finally {
      running = undefined
      setText(word, LABEL)
      show(way, false)
    }
  }
  const button = h(
    'button',
    {
      class: 'button small',
      id: 'replay',
      attr: { type: 'button' },
      on: { click: () => (running === undefined ? void start() : running.abort()) },
    },
    icon('play'),
    word,
  )
  show(way, false)
  setAttr(button, 'title', 'Its ticks are computed once more here, in the background, and compared with what its hosts signed.')
  return { el: h('div', { class: 'replay' }, button, way, verdict), dispose: () => running?.abort() }
}
