import { Command, CommanderError } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { registerAdmin } from './commands/admin.ts'
import { registerBalance } from './commands/balance.ts'
import { registerCheck } from './commands/check.ts'
import { registerClient } from './commands/client.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerImport } from './commands/import.ts'
import { registerInstall } from './commands/install.ts'
import { registerKey } from './commands/key.ts'
import { registerLedger } from './commands/ledger.ts'
import { registerPlan } from './commands/plan.ts'
import { registerServe } from './commands/serve.ts'
import { registerStatus } from './commands/status.ts'
import { registerTail } from './commands/tail.ts'
import { registerUsage } from './commands/usage.ts'
import { Misused, printError, Refused } from './output.ts'

/** Every command of `tollgate`, in the order of the help: a new one is added here and nowhere else. */
const REGISTRARS = [
  registerKey,
  registerClient,
  registerPlan,
  registerImport,
  registerCheck,
  registerStatus,
  registerUsage,
  registerBalance,
  registerTail,
  registerLedger,
  registerAdmin,
  registerServe,
  registerInstall,
  registerDoctor,
]

const HELP = `
State folder (--dir): $TOLLGATE_DIR, else ./.tollgate when it has a clients.json, else
that of the installed nginx: /etc/nginx/tollgate, or where dirs.conf in it says.

Admin API (--admin): $TOLLGATE_ADMIN. https://host, unix:PATH, or http:// on this machine. The token
is in $TOLLGATE_ADMIN_TOKEN or in --admin-token-file, and never an argument.

Exit codes: 0 done; 1 refused, not found, or problems found; 2 wrong usage.
With --json the result is one JSON object on stdout. An error is one on stderr instead:
{"error":{"code":"refused"|"usage"|"failed","message":"...","problems":[...]}}`

function createProgram(): Command {
  const program = new Command('tollgate')
    .description(packageJson.description)
    .version(packageJson.version)
    .option('--dir <dir>', 'folder of policy.json and clients.json')
    .option('--json', 'print JSON for machines')
    .option('--admin <url>', 'work over the admin API there, instead of on files')
    .option('--admin-token-file <file>', 'a file with the token for it')
    .addHelpText('after', HELP)
    .configureHelp({ showGlobalOptions: true })
    // Errors are printed by fail(), in the form that --json asks for.
    .configureOutput({ outputError: () => {}, writeErr: (text) => remarkHelp(text) })
    .exitOverride()
  for (const register of REGISTRARS) register(program)
  return program
}

/** The help that stands in for a missing command is of no use to machines. */
function remarkHelp(text: string): void {
  if (!isJsonAsked()) process.stderr.write(text)
}

function isJsonAsked(): boolean {
  return process.argv.includes('--json')
}

/** Prints why a command ended early, and gives the exit code. */
function fail(error: unknown, isJson: boolean): number {
  if (error instanceof CommanderError) {
    // Help that was asked for is no failure; help instead of a missing command is.
    if (error.exitCode === 0) return 0
    const isHelp = error.code === 'commander.help'
    const message = isHelp ? 'Name a command' : error.message.replace(/^error: /, '')
    printError(isJson, 'usage', capitalise(message))
    return 2
  }
  if (error instanceof Misused) {
    printError(isJson, 'usage', error.message)
    return 2
  }
  if (error instanceof Refused) printError(isJson, 'refused', error.message, error.problems)
  else printError(isJson, 'failed', describeFailure(error))
  return 1
}

/** What the system refused, by its code and file; for anything else the whole stack, as it is a bug. */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, path, syscall } = error as NodeJS.ErrnoException
  if (!code || !syscall) return error.stack ?? error.message
  const where = path ? ` ${path}` : ''
  const fix = code === 'EACCES' || code === 'EPERM' ? '; try again with sudo' : ''
  return `Cannot ${syscall}${where}: ${code}${fix}`
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

// A reader such as `head` may leave early: that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

try {
  await createProgram().parseAsync()
} catch (error) {
  process.exitCode = fail(error, isJsonAsked())
}
