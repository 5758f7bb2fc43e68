/**
 * The way of a move, in its four steps.
 *
 * @module
 */
import { h, type Piece, setAttr, setText } from '../dom.ts'
import { nameOfPeer } from '../names.ts'
import type { App, Live, MoveRun } from '../state.ts'
import { PHASES } from '../words.ts'

/** Until then a move is as quick as it should be, and needs no excuse. */
const SLOW_MS = 4000

export interface JourneyNow {
  readonly run: MoveRun | undefined
  readonly progress: Live['progress']
}

/** How far along the way, from 0 to 1. */
export const fraction = (progress: Live['progress']): number => {
  if (!progress) return 0.04
  const at = PHASES.findIndex(({ phase }) => phase === progress.phase)
  const within = progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0.5
  // Copying is what takes the time, so it gets most of the way.
  const starts = [0.04, 0.12, 0.82, 0.9, 0.97]
  const from = starts[at] ?? 0.04
  return from + ((starts[at + 1] ?? 0.97) - from) * within
}

export const journey = (app: App): Piece<JourneyNow> => {
  const steps = PHASES.map(({ phase, word }) => h('li', { text: word, attr: { 'data-phase': phase } }))
  const words = h('p')
  const stop = h('button', { class: 'button small quiet', text: 'Stop waiting', attr: { type: 'button', hidden: true } })
  const el = h('div', { class: 'journey', id: 'progress' }, h('ol', { attr: { 'aria-hidden': 'true' } }, ...steps), words, stop)
  let running: MoveRun | undefined
  stop.addEventListener('click', () => running?.stop.abort())
  return {
    el,
    update({ run, progress }) {
      running = run
      el.hidden = !run && !progress
      if (el.hidden) return
      const at = progress ? PHASES.findIndex(({ phase }) => phase === progress.phase) : 0
      el.dataset.phase = PHASES[at]?.phase ?? 'offer'
      for (const [i, step] of steps.entries()) {
        step.dataset.at = i < at ? 'done' : i === at ? 'now' : 'next'
        const part = i < at ? 1 : i === at && progress && progress.total > 0 ? progress.done / progress.total : 0
        step.style.setProperty('--part', String(Math.min(1, part)))
      }
      const slow = run !== undefined && performance.now() - run.began > SLOW_MS
      const where = run ? ` ${nameOfPeer(app.node, run.to)}` : ''
      setText(
        words,
        slow && at === 0
          ? `Still waiting for${where || ' the other node'} to answer. It runs on where it is.`
          : `${run ? `To${where}: ` : ''}${PHASES[at]?.doing ?? ''}`,
      )
      setAttr(stop, 'hidden', !(slow && at === 0))
    },
  }
}
