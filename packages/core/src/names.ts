/**
 * Two words for a key, so that people can tell nodes and agents apart: nodes are places, agents are
 * animals. Not unique, not secret.
 *
 * @module
 */

const adjectives = (
  'amber brave calm clever coral crisp dapper eager early fern gentle golden happy hazel honest ivory jolly keen kind ' +
  'lively lucky mellow merry misty noble olive patient plum proud quick quiet rosy silver swift tidy vivid'
).split(' ')
const animals = (
  'badger beaver bison crane dolphin eagle falcon finch fox gecko heron ibis jackal koala lark lemur lynx marten mole ' +
  'newt otter owl panda puffin quail raven robin salmon seal sparrow stork swan tapir toad turtle wren'
).split(' ')
const places = (
  'atoll bay beach bluff cape cay cliff coast cove creek delta dune fjord glen grove harbour haven heath hill holm inlet ' +
  'island key lagoon ledge marsh meadow mesa point reef ridge rock shoal shore sound spit'
).split(' ')

/** FNV-1a over the characters: stable between versions and engines. */
const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0
  return h
}

const pair = (id: string, nouns: readonly string[]): string => {
  const h = hash(id)
  return `${adjectives[h % adjectives.length]}-${nouns[Math.floor(h / adjectives.length) % nouns.length]}`
}

export const nodeNameOf = (peerId: string): string => pair(peerId, places)
export const agentNameOf = (did: string): string => pair(did, animals)
