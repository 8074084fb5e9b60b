import { execFile } from 'node:child_process'

/** How a command ended. `code` is null when it could not be started or was killed. */
export type Ending = { code: number | null; stdout: string; stderr: string; isMissing: boolean }

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

/**
 * Runs a command to its end, in the C locale because its output is read, and never throws: a
 * command that is not installed is an ending too.
 */
export function run(
  command: readonly string[],
  options: { timeoutMs: number; cwd?: string },
): Promise<Ending> {
  const [file = '', ...args] = command
  const settings = {
    timeout: options.timeoutMs,
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, LC_ALL: 'C' },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  }
  return new Promise((resolve) => {
    execFile(file, args, settings, (error, stdout, stderr) => {
      const isMissing = error !== null && error.code === 'ENOENT'
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null
      resolve({ code, stdout, stderr: stderr || (error?.message ?? ''), isMissing })
    })
  })
}
