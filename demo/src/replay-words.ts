/**
 * What running an agent again found, in words. Pure.
 *
 * @module
 */
import type { Replay, ReplayProgress } from './api.ts'
import { count, plural, said, shortId } from './words.ts'

/** As far as it is: `12 of 340 ticks`. */
export const progressWords = ({ ticks, ofTicks }: ReplayProgress): string => `${count(ticks)} of ${plural(ofTicks, 'tick')}`

export interface ReplayWords {
  readonly verdict: 'ok' | 'failed' | 'asserted'
  readonly text: string
}

/** @param nameOf what people call a peer */
export const replayWords = (replay: Replay, nameOf: (peer: string) => string): ReplayWords => {
  const { verdict, guilt, doubts, ticks, fromTick, toTick } = replay
  if (guilt !== undefined) {
    const where = guilt.chunk === undefined ? '' : `, in chunk ${count(guilt.chunk)} of its memory`
    return {
      verdict: 'failed',
      text: `It does not come out again: it differs first at tick ${count(guilt.tick)}${where}. ${said(new Error(guilt.message))} That was signed by ${nameOf(guilt.signer)} (${shortId(guilt.signer)}).`,
    }
  }
  const [doubt] = doubts.filter(({ code }) => code !== 'not kept')
  if (verdict === 'cannot judge' || ticks === 0) {
    const why = doubt ?? doubts[0]
    return {
      verdict: 'asserted',
      text: `Nobody can tell: ${why === undefined ? 'nothing of it is left to run again.' : said(new Error(why.message))}`,
    }
  }
  const older = doubts.length === 0 ? '' : ' Older ones are not kept.'
  return {
    verdict: 'ok',
    text: `Ran ${plural(ticks, 'tick')} again, ${count(fromTick ?? 0)} to ${count(toTick ?? 0)}: memory, fuel and cost came out the same, to the bit.${older}`,
  }
}
