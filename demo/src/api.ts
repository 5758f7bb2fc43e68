/**
 * The public API as this page uses it, in one place.
 *
 * @module
 */
import type { Verification, VerifyOptions } from '@igor/core'

export type {
  Agent,
  AgentEvent,
  AgentState,
  AgentStatus,
  LinkKind,
  Move,
  MovePhase,
  Node as IgorNode,
  NodeEvent,
  Passport,
  Peer,
  SpawnOptions,
  StoreUsage,
  View,
} from '@igor/core'

export type ReplayOptions = Pick<VerifyOptions, 'signal' | 'onprogress'>
export type Replay = NonNullable<Verification['replay']>
export type ReplayProgress = Parameters<NonNullable<VerifyOptions['onprogress']>>[0]
