import { useState } from 'preact/hooks'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { CheckField } from '../../ui/field.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Empty, PageHead, Skeleton } from '../../ui/parts.tsx'
import { SearchField } from '../../ui/search.tsx'
import { type ListOfClients, useClients, useSettled } from '../clients/list.ts'
import { CreateKey } from './create.tsx'
import { RevokeKey } from './rotate.tsx'
import { KeyTable, type OwnedKey } from './table.tsx'

/** The keys of all clients; those of one stand on its page too. */
export function KeysPage() {
  const words = text().keys
  const [q, setQ] = useState('')
  const [isAll, setAll] = useState(false)
  const settled = useSettled(q)
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
      {clients.problem ? (
        <ProblemNotice problem={clients.problem} onRetry={clients.reload} />
      ) : null}
      <section class="panel panel-flush panel-list" aria-label={words.title}>
        <List clients={clients} isAll={isAll} q={settled} onRevoke={setRevoking} />
      </section>
      {isCreating ? (
        <CreateKey clients={names} onDone={clients.reload} onClose={() => setCreating(false)} />
      ) : null}
      {revoking ? (
        <RevokeKey row={revoking} onDone={clients.reload} onClose={() => setRevoking(null)} />
      ) : null}
    </>
  )
}

type ListProps = {
  clients: ListOfClients
  isAll: boolean
  q: string
  onRevoke(row: OwnedKey): void
}

function List({ clients, isAll, q, onRevoke }: ListProps) {
  const words = text().keys
  const listed = clients.data?.listed
  if (!listed) return clients.isLoading ? <Skeleton lines={8} /> : null
  const all = listed.flatMap(({ client }) =>
    client.keys.map((key) => ({ client: client.name, key })),
  )
  const rows = all.filter(({ key }) => isAll || key.state === 'live' || key.state === 'disabled')
  return (
    <>
      {rows.length > 0 ? (
        <KeyTable rows={rows} hasClients onRevoke={onRevoke} />
      ) : (
        <Empty icon="keys" title={q === '' ? words.nobody : words.notFound(q)}>
          {q === '' ? <p>{words.nobodyHint}</p> : null}
        </Empty>
      )}
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
