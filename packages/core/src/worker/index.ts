export type { Tools } from './agent.ts'
export * from './protocol.ts'
export { type Port, serve } from './serve.ts'
