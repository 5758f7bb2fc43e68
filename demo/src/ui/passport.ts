/**
 * The passport of an agent: every host it ever had, each verified, and where it would survive.
 *
 * @module
 */
import type { AgentStatus, Passport } from '../api.ts'
import { type Archipelago, survival } from '../archipelago.ts'
import { h, type Piece, setText, show } from '../dom.ts'
import { kindOf, nameOfPeer } from '../names.ts'
import type { App } from '../state.ts'
import { count, dateTime, plural, said, shortId } from '../words.ts'
import { icon } from './icons.ts'
import { replayBox } from './replay.ts'

/** A verification that takes longer has failed, for a person. */
const TIMEOUT_MS = 20_000

const stamp = (app: App, entry: Passport['hosts'][number], next: Passport['hosts'][number] | undefined): HTMLElement =>
  h(
    'li',
    { class: 'stamp', id: 'passport-host', attr: { 'data-peer': entry.peer, 'data-now': String(next === undefined) } },
    h('span', { class: 'stamp-mark' }, icon(kindOf(entry.peer) === 'server' ? 'server' : 'tab')),
    h(
      'div',
      {},
      h(
        'p',
        { class: 'stamp-name' },
        h('bdi', { text: nameOfPeer(app.node, entry.peer) }),
        h('span', { class: 'ok' }, icon('check'), 'verified'),
      ),
      h('p', {
        class: 'dim',
        text: next ? `ticks ${count(entry.tick)} to ${count(next.tick)}` : `since tick ${count(entry.tick)}`,
      }),
      h('p', { class: 'dim', text: `${dateTime(entry.since)} · ${shortId(entry.peer)}` }),
    ),
  )

export const passportView = (app: App, id: string, map: () => Archipelago): Piece<AgentStatus> => {
  const verdict = h('p', { class: 'verdict', id: 'passport-verdict' })
  const hosts = h('ol', { class: 'stamps', attr: { 'aria-label': 'Hosts, newest first' } })
  const where = h('p', { class: 'survival', id: 'survival' })
  const again = h(
    'button',
    { class: 'button small', id: 'verify', attr: { type: 'button' }, on: { click: () => void verify(true) } },
    icon('check'),
    'Verify',
  )
  const replay = replayBox(app, async (options) => {
    const found = (await app.node.agent(id).verify({ ...options, replay: true })).replay
    if (found === undefined) throw new Error('This node does not run histories again.')
    return found
  })
  const el = h(
    'section',
    { class: 'part passport', id: 'passport', attr: { 'aria-label': 'Passport' } },
    h('header', { class: 'part-head' }, h('h3', { text: 'Passport' }), again),
    verdict,
    replay.el,
    hosts,
    h('h4', { text: 'Where it would survive' }),
    where,
  )
  let epoch = -1
  let running: AbortController | undefined

  const verify = async (asked: boolean): Promise<void> => {
    running?.abort()
    const mine = new AbortController()
    running = mine
    el.dataset.verdict = 'checking'
    if (asked || hosts.childElementCount === 0) setText(verdict, 'Checking every record…')
    try {
      const passport = await app.node
        .agent(id)
        .passport({ signal: AbortSignal.any([mine.signal, AbortSignal.timeout(TIMEOUT_MS)]) })
      if (mine.signal.aborted) return
      hosts.replaceChildren(...passport.hosts.map((entry, i) => stamp(app, entry, passport.hosts[i + 1])).reverse())
      el.dataset.verdict = passport.asserted.length > 0 ? 'asserted' : 'ok'
      setText(
        verdict,
        passport.asserted.length > 0
          ? `Verified from genesis to tick ${count(passport.tick)}, but its owner forced it on ${plural(passport.asserted.length, 'time')}: from there, that it lives only once rests on the owner’s word.`
          : `Verified from genesis to tick ${count(passport.tick)}: ${plural(passport.records, 'record')}, ${plural(passport.hosts.length, 'stay')}, no break.`,
      )
      if (asked) app.announce(verdict.textContent ?? '')
    } catch (error) {
      if (mine.signal.aborted) return
      el.dataset.verdict = 'failed'
      setText(verdict, `Could not be verified. ${said(error)}`)
      if (asked) app.announce(verdict.textContent ?? '', true)
    }
  }

  return {
    el,
    update(status) {
      if (status.epoch !== epoch && status.state !== 'moving') {
        epoch = status.epoch
        void verify(false)
      }
      const host = map().islands.find((island) => island.peer === status.host)
      const name = nameOfPeer(app.node, status.host)
      const words = survival(status, host ?? { kind: kindOf(status.host) ?? 'unknown', name })
      where.dataset.safe = String(words.safe)
      const saved = app.state.saved.get(id)
      setText(where, saved === undefined ? words.text : `${words.text} You saved a copy at tick ${count(saved)}.`)
      show(hosts, hosts.childElementCount > 0)
    },
    dispose: () => {
      running?.abort()
      replay.dispose()
    },
  }
}
