/**
 * Names of the store's files: `log.<generation>`, `vital-a.<generation>`, `vital-b.<generation>`, and
 * the same with `.tmp` while one is being written. Other files in the folder are left alone.
 */
const NAME = /^(log|vital-a|vital-b)\.(\d{1,15})(\.tmp)?$/

export type Role = 'log' | 'vital-a' | 'vital-b'
/** In the order in which they are written. */
export const COPY_ROLES = ['vital-a', 'vital-b'] as const

export interface StoreFile {
  readonly name: string
  readonly role: Role
  readonly generation: number
  readonly unfinished: boolean
}

export function fileName(role: Role, generation: number): string {
  return `${role}.${generation}`
}

export function unfinished(name: string): string {
  return `${name}.tmp`
}

/** The store's own files among these names, newest generation first. */
export function parseNames(names: readonly string[]): StoreFile[] {
  const files: StoreFile[] = []
  for (const name of names) {
    const match = NAME.exec(name)
    if (match === null) continue
    files.push({ name, role: match[1] as Role, generation: Number(match[2]), unfinished: match[3] !== undefined })
  }
  return files.sort((a, b) => b.generation - a.generation)
}
