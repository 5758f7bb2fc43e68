import type { ModuleKey } from './protocol.ts'

/** One name for equal keys; apart from `modules.ts`, so that a page's own bundle does without the sandbox. */
export const nameOfKey = (key: ModuleKey): string => `${key.module} ${key.maxMemoryBytes} ${key.granted.join()}`
