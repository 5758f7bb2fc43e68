/**
 * All that a node needs to serve a witness, in one place, for those that do: a tab never does, and need not load it.
 *
 * @module
 */
import { createKeeper } from './keeper.ts'
import { openOwnWitness } from './open.ts'
import { serveWitness } from './serve.ts'

export interface WitnessOffice {
  readonly open: typeof openOwnWitness
  readonly serve: typeof serveWitness
  readonly keep: typeof createKeeper
}

export const witnessOffice: WitnessOffice = { open: openOwnWitness, serve: serveWitness, keep: createKeeper }
