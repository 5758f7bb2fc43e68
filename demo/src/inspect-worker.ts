/**
 * Looks into an agent's file off the main thread: verifying a long history takes a while, running it again longer.
 *
 * @module
 */
import { verify } from '@igor/browser/verify'
import { inspectCar } from '@igor/lineage'
import type { Answer, Question } from './inspect.ts'
import { said } from './words.ts'

// The types of the DOM and of workers cannot be loaded together.
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Question>) => void) | null
  postMessage(message: Answer): void
}

const runAgain = async (bytes: Uint8Array): Promise<void> => {
  const { replay } = await verify(bytes, { replay: true, onprogress: (progress) => scope.postMessage({ progress }) })
  if (replay !== undefined) scope.postMessage({ replay })
}

scope.onmessage = async ({ data: { bytes, again } }) => {
  if (again) await runAgain(bytes).catch((error) => scope.postMessage({ failed: said(error) }))
  else scope.postMessage({ summary: await inspectCar(bytes) })
}
