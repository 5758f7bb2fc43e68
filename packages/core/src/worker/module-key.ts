import type { ModuleKey } from './protocol.ts'

/** One name for equal keys; apart from `modules.ts`, so that a page's own bundle does without the sandbox. */
export const nameOfKey = ({ module, maxMemoryBytes, granted, version }: ModuleKey): string =>
  `${module} ${maxMemoryBytes} ${granted.join()}${version === undefined ? '' : ` ${version.instrument}.${version.costTable}`}`
