import { problem } from './problems.ts'
import type { Reply } from './types.ts'

/** What a change says that it is based on: If-Match and If-None-Match. */
export type Condition = { match: string | undefined; noneMatch: string | undefined }

/**
 * May a change be made to what has this ETag (RFC 9110, 13.1)? Null when it may; `etag` is null when
 * there is nothing yet.
 */
export function checkCondition(condition: Condition, etag: string | null): Reply | null {
  if (condition.match !== undefined) {
    if (etag !== null && names(condition.match, etag)) return null
    const now = etag === null ? 'it is not there' : `it has the ETag ${etag} now`
    return problem('etag-mismatch', `If-Match does not fit: ${now}. Read it again`)
  }
  if (condition.noneMatch === undefined) {
    return problem(
      'etag-needed',
      'Send If-Match with the ETag that GET has told, or If-None-Match: * for something new',
    )
  }
  if (etag === null || !names(condition.noneMatch, etag)) return null
  return problem('etag-mismatch', 'If-None-Match does not fit: it is there already')
}

/** Whether a list of ETags has one of them. A weak one fits none. */
function names(list: string, etag: string): boolean {
  return list.split(',').some((one) => one.trim() === etag || one.trim() === '*')
}
