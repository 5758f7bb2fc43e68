/**
 * The `igor` command as a function, and the page server.
 *
 * @module
 */
export type { Io } from './output.ts'
export { run } from './program.ts'
export { VERSION } from './version.ts'
