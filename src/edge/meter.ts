import type { GateRequest } from './ticket.ts'

/**
 * The body filter of an answer. It sends first and without flags: njs on QuickJS drops the flush of
 * `sendBuffer(data, flags)`, which holds a stream back until its end (njs.md, section 2.4). The
 * last piece is often empty and must be passed on too.
 */
export function meter(r: GateRequest, data: Buffer, flags: NginxHTTPSendBufferOptions): void {
  r.sendBuffer(data)
  if (flags.last) r.sawLast = true
}
