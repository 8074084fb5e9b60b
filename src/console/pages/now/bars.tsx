import { exact, short } from '../../format.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Empty } from '../../ui/parts.tsx'
import type { ByClient } from './speed.ts'

const SHOWN_MAX = 8

/** Who has how much in flight, as bars of the largest. */
export function ClientBars({ clients }: { clients: ByClient[] }) {
  const words = text().now
  if (clients.length === 0) return <Empty icon="clients" title={words.nobody} />
  const most = Math.max(...clients.map(({ requests }) => requests))
  const rest = clients.slice(SHOWN_MAX)
  return (
    <ul class="bars">
      {clients.slice(0, SHOWN_MAX).map(({ client, requests, speed }) => (
        <li key={client} class="bar-row">
          <div class="bar-head">
            <a class="bar-name" href={hashOf(['clients', client])}>
              {client}
            </a>
            <span class="bar-value">
              {words.inFlightShort(exact(requests))} <span class="muted">·</span>{' '}
              {words.perSecond(short(speed))}
            </span>
          </div>
          <div class="bar">
            <span style={{ width: `${(requests / most) * 100}%` }} />
          </div>
        </li>
      ))}
      {rest.length > 0 ? <li class="muted">{words.moreClients(exact(rest.length))}</li> : null}
    </ul>
  )
}
