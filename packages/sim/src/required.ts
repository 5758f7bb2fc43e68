/**
 * What has to be a crash point in every larger run of seeds: each durable write and each message of each protocol.
 *
 * @module
 */

const WRITES = [
  'birth',
  'journal',
  'checkpoint',
  'handoff',
  'accept',
  'refuse',
  'take back',
  'depart',
  'retire',
  'identity',
  'owner seeds',
  'witness: checkpoint',
  'witness: handoff',
  'witness: accept',
  'witness: refuse',
  'witness: recover',
  'witness: retire',
] as const

const MESSAGES = [
  'handoff: offer',
  'handoff: ready',
  'handoff: prepared',
  'handoff: tail',
  'handoff: chunks',
  'handoff: commit',
  'handoff: done',
  'handoff: reject',
  'handoff: status',
  'handoff: undecided',
  'blocks: records',
  'blocks: blocks',
  'order: order',
  'order: applied',
  'order: error',
  'message: message',
  'message: committed',
  'message: error',
  'witness: commit',
  'witness: need',
  'witness: blocks',
  'witness: cosigned',
  'witness: renew',
  'witness: lease',
  'witness: deposed',
  'witness: history',
  'witness: fetch',
  'witness: records',
  'witness: release',
  'witness: released',
  'witness: takeover',
  'witness: error',
  'handoff: takeover',
  'handoff: taken',
] as const

/** Points by name; a run that never comes to one of them tested less than it says. */
export const REQUIRED: readonly string[] = [
  ...WRITES.flatMap((write) => [
    `${write}: asked for`,
    `${write}: append to log, before`,
    `${write}: append to log, half`,
    `${write}: append to log, after`,
    `${write}: sync log, before`,
    `${write}: sync log, after`,
    `${write}: done`,
  ]),
  ...MESSAGES.flatMap((message) => [`${message}, before it is sent`, `${message}, after it was sent`, `${message}, as it comes`]),
  'gossip, before it is sent',
]
