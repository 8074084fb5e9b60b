import { useState } from 'preact/hooks'
import { whyNotWrite } from '../../permission.ts'
import { hashOf, route } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Badge, Empty, PageHead } from '../../ui/parts.tsx'
import { SearchField } from '../../ui/search.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { SubjectBars } from './bars.tsx'
import { CreateClient } from './create.tsx'
import { type Listed, useClients, useSearch } from './list.ts'
import { ClientsPanel } from './panel.tsx'

/** Bars of a client in the list. */
const BARS_SHOWN = 3

export function ClientsPage() {
  const words = text().clients
  const { q, settled, setQ } = useSearch(route.value.query.get('q') ?? '')
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
      <ClientsPanel label={words.title} clients={clients}>
        {(listed) => <Rows listed={listed} q={settled} create={create} />}
      </ClientsPanel>
      {isCreating ? <CreateClient onClose={() => setCreating(false)} /> : null}
    </>
  )
}

type RowsProps = { listed: Listed[]; q: string; create: preact.ComponentChildren }

function Rows({ listed, q, create }: RowsProps) {
  const words = text().clients
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
    <Table
      caption={words.title}
      columns={columns()}
      rows={listed}
      keyOf={({ client }) => client.name}
    />
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
          {client.plan ? <a href={hashOf(['plans', client.plan])}>{client.plan}</a> : '–'}
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
