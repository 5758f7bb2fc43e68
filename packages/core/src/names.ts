/**
 * Two words for a key, so that people can tell nodes and agents apart. Not unique, not secret.
 *
 * @module
 */

const first = (
  'amber brave calm clever coral crisp dapper eager early fern gentle golden happy hazel honest ivory jolly keen kind ' +
  'lively lucky mellow merry misty noble olive patient plum proud quick quiet rosy silver swift tidy vivid'
).split(' ')
const second = (
  'badger beaver bison crane dolphin eagle falcon finch fox gecko heron ibis jackal koala lark lemur lynx marten mole ' +
  'newt otter owl panda puffin quail raven robin salmon seal sparrow stork swan tapir toad turtle wren'
).split(' ')

/** FNV-1a over the characters: stable between versions and engines. */
const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0
  return h
}

export const nameOf = (id: string): string => {
  const h = hash(id)
  return `${first[h % first.length]}-${second[Math.floor(h / first.length) % second.length]}`
}
