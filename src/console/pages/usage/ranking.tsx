import { useState } from 'preact/hooks'
import type { Dimension } from '../../api/types.ts'
import { readColors, SERIES_MAX } from '../../chart/colors.ts'
import { cost, exact, percent } from '../../format.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { scheme } from '../../theme.ts'
import { type Column, Table } from '../../ui/table.tsx'
import type { Measure } from './query.ts'
import { emptySum, measured, rank, type Sum } from './sums.ts'

type Field = 'requests' | 'refused' | 'promptTokens' | 'cachedTokens' | 'completionTokens' | 'cost'

const FIELDS: Field[] = [
  'requests',
  'refused',
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'cost',
]

const SHOWN_MAX = 100

type Props = { sums: Sum[]; by: Dimension; measure: Measure; total: number }

/** Who used how much, the most first; another column sorts by a click on its heading. */
export function Ranking({ sums, by, measure, total }: Props) {
  const words = text().usage
  const [field, setField] = useState<Field | null>(null)
  const ranked = rank(sums, measure)
  const rows = field === null ? ranked : [...ranked].sort((a, b) => b[field] - a[field])
  const places = new Map(ranked.map(({ name }, place) => [name, place]))
  const columns: Column<Sum>[] = [
    {
      id: 'name',
      heading: text().names.dimensions[by],
      isName: true,
      cell: ({ name }) => <Name name={name} by={by} place={places.get(name) ?? 0} />,
    },
    {
      id: 'share',
      heading: words.share,
      cell: (sum) => <Share part={total > 0 ? measured(sum, measure) / total : 0} />,
      sort: { direction: field === null ? 'descending' : null, onSort: () => setField(null) },
    },
    ...FIELDS.map((one) => numberColumn(one, field === one, () => setField(one))),
  ]
  return (
    <>
      <Table
        caption={words.ranking}
        columns={columns}
        rows={rows.slice(0, SHOWN_MAX)}
        keyOf={({ name }) => name}
        foot={<Total sums={sums} columns={columns} />}
      />
      {rows.length > SHOWN_MAX ? (
        <p class="table-more">{words.notShown(exact(rows.length - SHOWN_MAX))}</p>
      ) : null}
    </>
  )
}

function numberColumn(field: Field, isSorted: boolean, onSort: () => void): Column<Sum> {
  return {
    id: field,
    heading: text().usage.columns[field],
    isNumber: true,
    cell: (sum) => (
      <>
        {show(sum, field)}
        {field === 'completionTokens' && sum.isEstimated ? (
          <abbr class="estimated" title={text().usage.estimated}>
            ≈
          </abbr>
        ) : null}
      </>
    ),
    sort: { direction: isSorted ? 'descending' : null, onSort },
  }
}

function show(sum: Sum, field: Field): string {
  return field === 'cost' ? cost(sum.cost) : exact(sum[field])
}

function Name({ name, by, place }: { name: string; by: Dimension; place: number }) {
  const colors = scheme.value ? readColors() : null
  const color = place < SERIES_MAX ? colors?.series[place] : colors?.rest
  return (
    <>
      <span class="dot" style={{ background: color }} />
      {by === 'client' && name !== '' ? (
        <a href={hashOf(['clients', name])}>{name}</a>
      ) : (
        <span>{name === '' ? text().usage.noName : name}</span>
      )}
    </>
  )
}

function Share({ part }: { part: number }) {
  return (
    <span class="share">
      <span class="share-bar">
        <span style={{ width: `${part * 100}%` }} />
      </span>
      <span class="share-value">{percent(part)}</span>
    </span>
  )
}

function Total({ sums, columns }: { sums: Sum[]; columns: Column<Sum>[] }) {
  const total = emptySum('')
  for (const sum of sums) for (const field of FIELDS) total[field] += sum[field]
  return (
    <tfoot role="rowgroup">
      <tr role="row">
        <th scope="row" role="rowheader" class="name">
          {text().usage.total}
        </th>
        <td role="cell" class="column-share" />
        {FIELDS.map((field) => (
          <td
            key={field}
            role="cell"
            class={`number column-${field}`}
            data-label={String(columns.find(({ id }) => id === field)?.heading)}
          >
            {show(total, field)}
          </td>
        ))}
      </tr>
    </tfoot>
  )
}
