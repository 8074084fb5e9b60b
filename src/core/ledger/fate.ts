/** What a request came to, for the columns of usage: `ok` is what is none of the others. */
export type Fate = 'ok' | 'refused' | 'errors' | 'aborted'

/** What became of a request; an answer such as 404 of the server behind is an `ok` of the gate's. */
export function fateOf(outcome: string, status: number): Fate {
  switch (outcome) {
    case 'ok':
      return status >= 400 ? 'errors' : 'ok'
    case 'client_aborted':
      return 'aborted'
    case 'upstream_aborted':
    case 'upstream_unavailable':
    case 'upstream_error':
    case 'gate_error':
      return 'errors'
    default:
      // cut_revoked and its like: the caller got an answer, and the gate ended it.
      return String(outcome).startsWith('cut_') ? 'ok' : 'refused'
  }
}

/** The model under which a line is counted: the one that was asked for, else the one that answered. */
export function modelOf(line: { model?: string; served?: string }): string | undefined {
  return line.model === undefined ? line.served : line.model
}
