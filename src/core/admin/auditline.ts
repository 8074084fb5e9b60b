import type { Call, Change } from './types.ts'

/** One line of audit.jsonl. */
export type AuditLine = Change & {
  version: 1
  /** RFC 3339. */
  time: string
  /** nginx's id of the request, as in X-Request-Id. */
  id: string
  who: { id: string; name: string }
  remote: string
}

/** The line of a change, as JSON. */
export function formatAudit(call: Call, change: Change): string {
  const line: AuditLine = {
    version: 1,
    time: new Date(call.nowMs).toISOString(),
    id: call.id,
    who: { id: call.who.id, name: call.who.name },
    remote: call.remote,
    action: change.action,
    target: change.target,
    before: change.before,
    after: change.after,
  }
  return JSON.stringify(line)
}

/** Reads lines, the newest first; what is none, such as one that a full disk has cut, is left out. */
export function readAudit(text: string, limit: number): AuditLine[] {
  const entries: AuditLine[] = []
  const lines = text.split('\n')
  for (let i = lines.length - 1; i >= 0 && entries.length < limit; i--) {
    const entry = parse(lines[i] as string)
    if (entry) entries.push(entry)
  }
  return entries
}

function parse(text: string): AuditLine | null {
  try {
    const line = JSON.parse(text)
    return line && typeof line.action === 'string' ? line : null
  } catch (_) {
    return null
  }
}
