// What libraries bring along and a page of ours never runs stays out of its bundle. Each part says what it does without, and a
// library that has changed in that place fails the build instead of the page.
import { readFile } from 'node:fs/promises'

/** Nodes have Ed25519 keys: a peer with another kind is nobody that a page could meet. */
const NO_SECP256K1 = `
const absent = () => { throw new Error('this page speaks to nodes with Ed25519 keys alone') }
export const secp256k1 = { sign: absent, verify: absent, getPublicKey: absent, keygen: absent, Point: { fromBytes: absent, fromHex: absent },
  utils: { randomSecretKey: absent, isValidPublicKey: absent } }
`

/** The same for RSA and ECDSA: what a file exports, absent. */
const NO_OTHER_KEYS = /@libp2p\/crypto\/dist\/src\/keys\/(rsa|ecdsa)\/utils\.js$/
const EXPORTED = /^export (?:async )?(?:function|const) (\w+)/gm
const withoutKeys = (source) =>
  ["const absent = () => { throw new Error('this page speaks to nodes with Ed25519 keys alone') }"]
    .concat([...source.matchAll(EXPORTED)].map(([, name]) => `export const ${name} = absent`))
    .join('\n')

/** Nobody reads the libraries' own logs in a page. */
const NO_LOGS = `
const silent = Object.assign(() => {}, { error: () => {}, trace: () => {}, enabled: false, newScope: () => silent })
const log = { forComponent: () => silent }
export const defaultLogger = () => log
export const peerLogger = defaultLogger
export const prefixLogger = defaultLogger
export const logger = () => silent
`

/** No address, key or CID of ours is written in emoji. */
const NO_EMOJI = 'export {}'
const EMOJI = 'export const base256emoji = from('

/** Gossip is measured only where somebody collects metrics: what a file says from a function on, and what it says instead. */
const absent = (name) => `export function ${name}() { throw new Error('a page gathers no metrics') }\n`
const UNMEASURED = [
  { file: /@libp2p\/gossipsub\/dist\/src\/metrics\.js$/, name: 'getMetrics' },
  { file: /@libp2p\/gossipsub\/dist\/src\/score\/scoreMetrics\.js$/, name: 'computeAllPeersScoreWeights' },
]

/** Messages of the libraries are read whole: the other way, field by field, that is generated with each of them has no caller. */
const MESSAGES =
  /@libp2p\/(circuit-relay-v2\/dist\/src\/pb\/index|crypto\/dist\/src\/keys\/keys|gossipsub\/dist\/src\/message\/rpc|identify\/dist\/src\/pb\/message|noise\/dist\/src\/proto\/payload|peer-record\/dist\/src\/(peer-record\/peer-record|envelope\/envelope)|peer-store\/dist\/src\/pb\/peer|webrtc\/dist\/src\/private-to-(public|private)\/pb\/message)\.js$/
const BY_FIELD = /^( *)\}, function\* \(reader, length, prefix, opts = \{\}\) \{\n[\s\S]*?\n\1\}\);/gm
const STREAM = /^( *)function stream\(buf, opts\) \{\n.*\n\1\}\n\1[\w$]+\.stream = stream;\n/gm

/** @type {import('esbuild').Plugin} */
export const slim = {
  name: 'slim',
  setup(build) {
    build.onResolve({ filter: /^@noble\/curves\/secp256k1\.js$/ }, ({ path }) => ({ path, namespace: 'slim' }))
    build.onResolve({ filter: /^@libp2p\/logger$/ }, ({ path }) => ({ path, namespace: 'slim' }))
    build.onLoad({ filter: /.*/, namespace: 'slim' }, ({ path }) => ({
      contents: path === '@libp2p/logger' ? NO_LOGS : NO_SECP256K1,
    }))
    build.onLoad({ filter: /multiformats\/dist\/src\/bases\/base256emoji\.js$/ }, async ({ path }) => {
      if (!(await readFile(path, 'utf8')).includes(EMOJI)) throw new Error(`${path} is not what it was: see demo/slim.mjs`)
      return { contents: NO_EMOJI }
    })
    build.onLoad({ filter: MESSAGES }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const contents = source.replaceAll(BY_FIELD, '$1});').replaceAll(STREAM, '')
      if (contents === source || contents.includes('function*') || contents.includes('streamMessage('))
        throw new Error(`${path} is not what it was: see demo/slim.mjs`)
      return { contents }
    })
    build.onLoad({ filter: NO_OTHER_KEYS }, async ({ path }) => ({ contents: withoutKeys(await readFile(path, 'utf8')) }))
    for (const { file, name } of UNMEASURED)
      build.onLoad({ filter: file }, async ({ path }) => {
        const source = await readFile(path, 'utf8')
        const at = source.indexOf(`export function ${name}(`)
        if (at < 0) throw new Error(`${path} has no ${name} any more: see demo/slim.mjs`)
        return { contents: source.slice(0, at) + absent(name) }
      })
  },
}
