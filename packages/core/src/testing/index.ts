/**
 * Acceptance suites, one for each platform interface. Call one inside a vitest test file; it
 * registers its tests. For tests alone: needs vitest.
 *
 * @module
 */
export { clockSuite } from './clock.ts'
export { cryptoSuite } from './crypto.ts'
export { filesSuite } from './files.ts'
export { type Fixture, noise } from './fixture.ts'
export { CrashError, type CrashOptions, type Disk, makeDisk } from './memory-files.ts'
export { type NetworkPair, type NetworkSuiteOptions, networkSuite, STRANGER } from './network.ts'
export { storeSuite } from './store.ts'
export { threadsSuite } from './threads.ts'
