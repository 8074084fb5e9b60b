import type { Command } from 'commander'
import { findNotices } from '../../core/config/notices.ts'
import { contextOf } from '../context.ts'
import { count, formatProblem, print } from '../output.ts'
import type { Inspection } from '../store/documents.ts'
import type { FileProblem } from '../store/source.ts'

/** Registers `tollgate check`. */
export function registerCheck(program: Command): void {
  program
    .command('check')
    .description('check policy.json and clients.json: all problems, with line and path')
    .option('--write', 'write clients.json anew, one client a line, if it is good')
    .action(check)
}

async function check(options: { write?: true }, command: Command): Promise<void> {
  const { store, isJson } = contextOf(command)
  const { place: dir } = store
  const inspection = await store.inspect()
  const problems = [...inspection.problems, ...describeMissing(inspection)]
  const notices = listNotices(inspection)
  const ok = problems.length === 0
  if (ok && options.write) await store.rewrite()
  const lines = [
    ...problems.map(formatProblem),
    ...notices.map((notice) => `note: ${formatProblem(notice)}`),
    ok
      ? `${dir} is good: ${summarise(inspection)}.`
      : `${dir} has ${count(problems.length, 'problem')}; nginx goes on with the last good state.`,
  ]
  print(isJson, { ok, dir, problems, notices }, lines.join('\n'))
  if (!ok) process.exitCode = 1
}

/** Without both files the gate answers 500 to everything, so this is no mere remark. */
function describeMissing({ missing }: Inspection): FileProblem[] {
  const fixes: Record<string, string> = {
    'clients.json': 'make the first key with: tollgate key create CLIENT',
    'policy.json': 'for the defaults write {"version":1} into it',
  }
  return missing.map((file) => ({
    file,
    path: '',
    message: `There is no such file; ${fixes[file]}`,
  }))
}

/** Only of good files: in others any field may be of any type. */
function listNotices({ clients, policy, problems }: Inspection): FileProblem[] {
  if (problems.length > 0) return []
  return findNotices(clients, policy).map((notice) => ({
    file: notice.path.startsWith('plans') ? 'policy.json' : 'clients.json',
    ...notice,
  }))
}

function summarise({ clients, policy }: Inspection): string {
  const all = Object.values(clients.clients)
  const keys = all.reduce((sum, client) => sum + client.keys.length, 0)
  const plans = Object.keys(policy.plans ?? {}).length
  return `${count(all.length, 'client')}, ${count(keys, 'key')}, ${count(plans, 'plan')}`
}
