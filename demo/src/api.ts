/**
 * The public API as this page uses it, in one place.
 *
 * @module
 */
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
