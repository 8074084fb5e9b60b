import { answerRefusal } from '../../core/admit/answer.ts'
import { readReason } from '../gate/reason.ts'
import { setHeaders } from './headers.ts'

/** js_content of our own server: the refusal that the gate names, in the caller's dialect. */
export function answer(r: NginxHTTPRequest): void {
  const ticket = readReason(r.headersIn['x-tollgate-reason'] || '')
  if (!ticket) {
    // Hangs up. Nobody but the gate has business here.
    r.return(444)
    return
  }
  const told = answerRefusal(ticket, 0, r.headersIn['x-request-id'] || '')
  setHeaders(r, told.headers)
  r.return(told.status, told.body)
}
