import type { AuditEntry } from '../../api/types.ts'
import { changesOf } from '../../changes.ts'
import { text } from '../../text/text.ts'
import { ChangeList } from '../../ui/changes.tsx'
import { Time } from '../../ui/parts.tsx'
import { type Column, Table } from '../../ui/table.tsx'

/** Who changed what, the newest first. */
export function Audit({ entries }: { entries: AuditEntry[] }) {
  const words = text().state
  const columns: Column<AuditEntry>[] = [
    { id: 'time', heading: words.when, cell: ({ time }) => <Time value={time} /> },
    {
      id: 'who',
      heading: words.who,
      cell: ({ who, remote }) => (
        <>
          {who.name}
          <code class="sub">{remote}</code>
        </>
      ),
    },
    {
      id: 'action',
      heading: words.what,
      isName: true,
      cell: ({ action, target }) => (
        <>
          {action} <code class="sub">{target}</code>
        </>
      ),
    },
    {
      id: 'changes',
      heading: words.changes,
      isWhole: true,
      cell: ({ before, after }) => <ChangeList changes={changesOf(before, after)} />,
    },
  ]
  return (
    <Table
      caption={words.audit}
      columns={columns}
      rows={entries}
      keyOf={({ id, time, action, target }) => `${time} ${id} ${action} ${target}`}
    />
  )
}
