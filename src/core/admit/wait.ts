/**
 * The longest wait a caller is told. One official SDK sleeps as long as it is told to, another one
 * gives up above 60 s (sdk-contract.md).
 */
const RETRY_MS_MAX = 60000

/**
 * The wait as the headers of a refusal have it, see refusals.conf: `1500 2`, in milliseconds and in
 * seconds. nginx could not round up.
 */
export function tellWait(retryAfterMs: number): string {
  const ms = Math.min(retryAfterMs, RETRY_MS_MAX)
  return `${ms} ${Math.ceil(ms / 1000)}`
}
