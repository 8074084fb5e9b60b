import { useState } from 'preact/hooks'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { CheckField } from '../../ui/field.tsx'
import { Empty, PageHead } from '../../ui/parts.tsx'
import { SearchField } from '../../ui/search.tsx'
import { type Listed, useClients, useSearch } from '../clients/list.ts'
import { ClientsPanel } from '../clients/panel.tsx'
import { CreateKey } from './create.tsx'
import { RevokeKey } from './rotate.tsx'
import { KeyTable, type OwnedKey } from './table.tsx'

/** The keys of all clients; those of one stand on its page too. */
export function KeysPage() {
  const words = text().keys
  const { q, settled, setQ } = useSearch()
  const [isAll, setAll] = useState(false)
  const clients = useClients(settled, false)
  const [isCreating, setCreating] = useState(false)
  const [revoking, setRevoking] = useState<OwnedKey | null>(null)
  const names = (clients.data?.listed ?? []).map(({ client }) => client.name)
  const whyNot = whyNotWrite.value ?? (names.length === 0 ? words.noClient : null)
  return (
    <>
      <PageHead title={words.title} lead={words.lead}>
        <Button kind="primary" icon="plus" whyNot={whyNot} onClick={() => setCreating(true)}>
          {words.create}
        </Button>
      </PageHead>
      <div class="filters">
        <SearchField label={words.search} value={q} onChange={setQ} />
        <CheckField label={words.showEnded} isChecked={isAll} onChange={setAll} />
      </div>
      <ClientsPanel label={words.title} clients={clients}>
        {(listed) => <Rows listed={listed} isAll={isAll} q={settled} onRevoke={setRevoking} />}
      </ClientsPanel>
      {isCreating ? (
        <CreateKey clients={names} onDone={clients.reload} onClose={() => setCreating(false)} />
      ) : null}
      {revoking ? (
        <RevokeKey row={revoking} onDone={clients.reload} onClose={() => setRevoking(null)} />
      ) : null}
    </>
  )
}

type RowsProps = { listed: Listed[]; isAll: boolean; q: string; onRevoke(row: OwnedKey): void }

function Rows({ listed, isAll, q, onRevoke }: RowsProps) {
  const words = text().keys
  const all = listed.flatMap(({ client }) =>
    client.keys.map((key) => ({ client: client.name, key })),
  )
  const rows = all.filter(({ key }) => isAll || key.state === 'live' || key.state === 'disabled')
  if (rows.length > 0) return <KeyTable rows={rows} hasClients onRevoke={onRevoke} />
  return (
    <Empty icon="keys" title={q === '' ? words.nobody : words.notFound(q)}>
      {q === '' ? <p>{words.nobodyHint}</p> : null}
    </Empty>
  )
}
