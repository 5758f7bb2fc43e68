/**
 * Looks at every state that a model can come to, breadth first: the first violation found has the shortest way to it.
 *
 * @module
 */

export interface Model<S> {
  readonly start: S
  /** Everything that may happen next, with a word for it. */
  next(state: S): readonly (readonly [what: string, state: S])[]
  /** What does not hold; undefined: all does. */
  broken(state: S): string | undefined
  /** Whether the subject has come to rest as it should: from everywhere such a state must be in reach. */
  good(state: S): boolean
}

export interface Explored {
  readonly states: number
  /** What happened, in order, and what does not hold then. */
  readonly violation?: { readonly steps: readonly string[]; readonly what: string }
}

/** States that are looked at before the model counts as too large to be checked. */
const MAX_STATES = 3_000_000

/** @throws Error when the model is too large */
export const explore = <S>(model: Model<S>): Explored => {
  const ids = new Map<string, number>()
  const from: number[] = []
  const words: string[] = []
  const states: S[] = []
  const before: number[][] = []
  const add = (state: S, parent: number, what: string): void => {
    const name = JSON.stringify(state)
    const known = ids.get(name)
    if (known !== undefined) {
      before[known]?.push(parent)
      return
    }
    if (states.length >= MAX_STATES) throw new Error(`the model has more than ${MAX_STATES} states`)
    ids.set(name, states.length)
    states.push(state)
    from.push(parent)
    words.push(what)
    before.push([parent])
  }
  const wayTo = (id: number): string[] => {
    const steps: string[] = []
    for (let i = id; i > 0; i = from[i] ?? 0) steps.unshift(words[i] ?? '')
    return steps
  }
  add(model.start, -1, '')
  for (let i = 0; i < states.length; i++) {
    const state = states[i] as S
    const what = model.broken(state)
    if (what !== undefined) return { states: states.length, violation: { steps: wayTo(i), what } }
    for (const [word, next] of model.next(state)) add(next, i, word)
  }
  // Backwards from where all is well: what is not reached can never come to rest.
  const well = new Set<number>()
  const open = states.flatMap((state, i) => (model.good(state) ? [i] : []))
  while (open.length > 0) {
    const i = open.pop() as number
    if (i < 0 || well.has(i)) continue
    well.add(i)
    open.push(...(before[i] ?? []))
  }
  const lost = states.findIndex((_, i) => !well.has(i))
  return lost < 0
    ? { states: states.length }
    : { states: states.length, violation: { steps: wayTo(lost), what: 'from here nobody ever owns the agent for good' } }
}
