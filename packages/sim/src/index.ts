export { type RunOptions, type RunResult, runSeed } from './run.ts'
