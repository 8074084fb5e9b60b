import { useState } from 'preact/hooks'
import { whyNotWrite } from '../../permission.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Badge, Empty, PageHead, Skeleton } from '../../ui/parts.tsx'
import { SearchField } from '../../ui/search.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { SubjectBars } from './bars.tsx'
import { CreateClient } from './create.tsx'
import { type Listed, type ListOfClients, useClients, useSettled } from './list.ts'

/** Bars of a client in the list. */
const BARS_SHOWN = 3

export function ClientsPage() {
  const words = text().clients
  const [q, setQ] = useState('')
  const settled = useSettled(q)
  const clients = useClients(settled, true)
  const [isCreating, setCreating] = useState(false)
  const create = (
    <Button kind="primary" icon="plus" whyNot={whyNotWrite.value} onClick={() => setCreating(true)}>
      {words.create}
    </Button>
  )
  return (
    <>
      <PageHead title={words.title} lead={words.lead}>
        {create}
      </PageHead>
      <SearchField label={words.search} value={q} onChange={setQ} />
      {clients.problem ? (
        <ProblemNotice problem={clients.problem} onRetry={clients.reload} />
      ) : null}
      <section class="panel panel-flush panel-list" aria-label={words.title}>
        <List clients={clients} q={settled} create={create} />
      </section>
      {isCreating ? <CreateClient onClose={() => setCreating(false)} /> : null}
    </>
  )
}

type ListProps = { clients: ListOfClients; q: string; create: preact.ComponentChildren }

function List({ clients, q, create }: ListProps) {
  const words = text().clients
  const listed = clients.data?.listed
  if (!listed) return clients.isLoading ? <Skeleton lines={8} /> : null
  if (listed.length === 0 && q !== '') return <Empty icon="search" title={words.notFound(q)} />
  if (listed.length === 0) {
    return (
      <Empty icon="clients" title={words.nobody}>
        <p>{words.nobodyHint}</p>
        {create}
      </Empty>
    )
  }
  return (
    <>
      <Table
        caption={words.title}
        columns={columns()}
        rows={listed}
        keyOf={({ client }) => client.name}
      />
      {clients.more ? (
        <p class="table-more">
          <Button isBusy={clients.isMoreLoading} onClick={clients.more}>
            {text().common.more}
          </Button>
        </p>
      ) : null}
    </>
  )
}

function columns(): Column<Listed>[] {
  const words = text().clients
  return [
    {
      id: 'client',
      heading: words.client,
      isName: true,
      cell: ({ client }) => (
        <>
          <a class="client-link" href={hashOf(['clients', client.name])}>
            {client.name}
          </a>
          {client.disabled ? <Badge tone="error">{words.disabled}</Badge> : null}
          {client.shadow ? <Badge tone="warning">{words.shadow}</Badge> : null}
          {client.note ? <span class="sub">{client.note}</span> : null}
        </>
      ),
    },
    {
      id: 'plan',
      heading: words.plan,
      cell: ({ client }) => (
        <>
          {client.plan ?? '–'}
          {client.group ? <span class="sub">{words.inGroup(client.group)}</span> : null}
        </>
      ),
    },
    {
      id: 'keys',
      heading: words.keys,
      isNumber: true,
      cell: ({ client }) => client.keys.filter(({ state }) => state === 'live').length,
    },
    {
      id: 'bars',
      heading: words.bars,
      isWhole: true,
      cell: ({ balance }) => {
        const subject = balance?.subjects.find((one) => one.of === 'client')
        return subject ? <SubjectBars subject={subject} most={BARS_SHOWN} /> : '–'
      },
    },
  ]
}
