import type { Key, KeyState } from '../../api/types.ts'
import { whyNotWrite } from '../../permission.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Badge, type BadgeTone, Time } from '../../ui/parts.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ceilings, hasCeilings } from '../grant/ceilings.tsx'

export type OwnedKey = { client: string; key: Key }

type Props = { rows: OwnedKey[]; hasClients: boolean; onRevoke(row: OwnedKey): void }

const TONES: { [state in KeyState]: BadgeTone } = {
  live: 'good',
  expired: 'plain',
  revoked: 'plain',
  disabled: 'error',
}

/** Keys, those that work first. */
export function KeyTable({ rows, hasClients, onRevoke }: Props) {
  const sorted = [...rows].sort((a, b) => placeOf(a.key) - placeOf(b.key))
  return (
    <Table
      caption={text().keys.title}
      columns={columnsOf(rows, hasClients, onRevoke)}
      rows={hasClients ? rows : sorted}
      keyOf={({ key }) => key.id}
    />
  )
}

function placeOf({ state }: Key): number {
  return state === 'live' ? 0 : state === 'disabled' ? 1 : 2
}

function columnsOf(
  rows: OwnedKey[],
  hasClients: boolean,
  onRevoke: (row: OwnedKey) => void,
): Column<OwnedKey>[] {
  const words = text().keys
  const columns: Column<OwnedKey>[] = [
    {
      id: 'key',
      heading: words.id,
      isName: true,
      cell: ({ key }) => (
        <>
          <code>{key.id}</code>
          {key.note ? <span class="sub">{key.note}</span> : null}
        </>
      ),
    },
  ]
  if (hasClients) {
    columns.push({
      id: 'client',
      heading: words.client,
      cell: ({ client }) => <a href={hashOf(['clients', client])}>{client}</a>,
    })
  }
  if (rows.some(({ key }) => hasCeilings(key))) {
    columns.push({
      id: 'ownCeilings',
      heading: words.ownShort,
      cell: ({ key }) => <Ceilings of={key} />,
    })
  }
  columns.push(
    {
      id: 'state',
      heading: words.state,
      cell: ({ key }) => <Badge tone={TONES[key.state]}>{text().names.states[key.state]}</Badge>,
    },
    { id: 'created', heading: words.created, cell: ({ key }) => <Time value={key.created} /> },
    {
      id: 'ends',
      heading: words.ends,
      cell: ({ key }) => {
        const end = key.revoked ?? key.expires
        return end ? <Time value={end} /> : words.never
      },
    },
    {
      id: 'actions',
      heading: <span class="visually-hidden">{words.actions}</span>,
      isWhole: true,
      cell: (row) =>
        row.key.state === 'live' || row.key.state === 'disabled' ? (
          <Button
            isSmall
            label={words.revokeOne(row.key.id)}
            whyNot={whyNotWrite.value}
            onClick={() => onRevoke(row)}
          >
            {words.revoke}
          </Button>
        ) : null,
    },
  )
  return columns
}
