import type { Command } from 'commander'
import { chooseDir } from './store.ts'

/** What every command is run with: --dir and --json, and the time, taken once. */
export type Context = { dir: string; isJson: boolean; isDirNamed: boolean; nowMs: number }

/** Reads the options that all commands have; commander keeps them at the root. */
export function contextOf(command: Command): Context {
  const { dir, json } = command.optsWithGlobals<{ dir?: string; json?: boolean }>()
  const isDirNamed = dir !== undefined || Boolean(process.env.TOLLGATE_DIR)
  return { dir: chooseDir(dir), isJson: json === true, isDirNamed, nowMs: Date.now() }
}
