import { problem } from '../../core/admin/problems.ts'
import type { Call, Reply } from '../../core/admin/types.ts'

/** GET /usage. */
export function usage(call: Call): Reply | Promise<Reply> {
  return problem('not-built', call.path)
}
