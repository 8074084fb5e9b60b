import type { ComponentChildren } from 'preact'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Skeleton } from '../../ui/parts.tsx'
import type { Listed, ListOfClients } from './list.ts'

type Props = {
  label: string
  clients: ListOfClients
  /** What is shown of those that are loaded: rows, or that there are none. */
  children(listed: Listed[]): ComponentChildren
}

/** A list of clients or of what they have: while it loads, when it cannot be, and with its next page. */
export function ClientsPanel({ label, clients, children }: Props) {
  const { data, problem, more } = clients
  return (
    <>
      {problem ? <ProblemNotice problem={problem} onRetry={clients.reload} /> : null}
      <section class="panel panel-flush panel-list" aria-label={label}>
        {data ? children(data.listed) : clients.isLoading ? <Skeleton lines={8} /> : null}
        {more ? (
          <p class="table-more">
            <Button isBusy={clients.isMoreLoading} onClick={more}>
              {text().common.more}
            </Button>
          </p>
        ) : null}
      </section>
    </>
  )
}
