/**
 * Versions of what decides how a program runs and what it costs. A history that was made with one comes out again with
 * that one alone, so the older ones stay: whoever runs it again names the version that made it.
 *
 * @module
 */

/** Changes whenever the same module would be rewritten to other bytes. */
export const INSTRUMENT_VERSION = 5

/** Changes whenever the same call would cost another amount of fuel, what the runtime's host functions charge included. */
export const COST_TABLE_VERSION = 2

export interface Version {
  readonly instrument: number
  readonly costTable: number
}

/** What is made now. */
export const CURRENT: Version = { instrument: INSTRUMENT_VERSION, costTable: COST_TABLE_VERSION }

/**
 * All that this package can still be, oldest first. Cost table 1 charged nothing for calls of host functions.
 */
export const VERSIONS: readonly Version[] = [{ instrument: 5, costTable: 1 }, CURRENT]

export const sameVersion = (a: Version, b: Version): boolean => a.instrument === b.instrument && a.costTable === b.costTable

/** For people. */
export const versionText = ({ instrument, costTable }: Version): string =>
  `instrumentation ${instrument} with cost table ${costTable}`

export const isKnownVersion = (version: Version): boolean => VERSIONS.some((known) => sameVersion(known, version))
