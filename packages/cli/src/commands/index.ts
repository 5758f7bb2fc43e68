/**
 * All commands, in the order of their help.
 *
 * @module
 */
import type { Command } from 'commander'
import type { Io } from '../output.ts'
import { downCommand } from './down.ts'
import { exportCommand } from './export.ts'
import { idCommand } from './id.ts'
import { importCommand } from './import.ts'
import { inspectCommand } from './inspect.ts'
import { keysCommand } from './keys.ts'
import { logsCommand } from './logs.ts'
import { migrateCommand } from './migrate.ts'
import { fundCommand, pauseCommand, resumeCommand, retireCommand, upgradeCommand } from './orders.ts'
import { peersCommand } from './peers.ts'
import { proofsCommand } from './proofs.ts'
import { psCommand } from './ps.ts'
import { recoverCommand } from './recover.ts'
import { runCommand } from './run.ts'
import { sendCommand } from './send.ts'
import { simulateCommand } from './simulate.ts'
import { upCommand } from './up.ts'
import { verifyCommand } from './verify.ts'
import { watchCommand } from './watch.ts'
import { witnessCommand } from './witness.ts'

export function commands(io: Io): Command[] {
  return [
    upCommand,
    downCommand,
    idCommand,
    runCommand,
    psCommand,
    logsCommand,
    watchCommand,
    peersCommand,
    sendCommand,
    migrateCommand,
    pauseCommand,
    resumeCommand,
    fundCommand,
    upgradeCommand,
    retireCommand,
    witnessCommand,
    recoverCommand,
    exportCommand,
    importCommand,
    inspectCommand,
    verifyCommand,
    proofsCommand,
    keysCommand,
    simulateCommand,
  ].map((command) => command(io))
}
