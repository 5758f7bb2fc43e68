/**
 * Igor in Node.js.
 *
 * @module
 */
export { nodeClock } from './clock.ts'
export { createNode, type NodejsNodeOptions } from './create-node.ts'
export { nodeCrypto } from './crypto.ts'
export { etcdStore, openSharedWitness, parseEtcd } from './etcd-store.ts'
export { openFiles } from './files.ts'
export { nodeThreads } from './threads.ts'
export { verify } from './verify.ts'
