import type { ComponentChildren } from 'preact'

export type Column<Row> = {
  /** A word for the class of its cells. */
  id: string
  heading: ComponentChildren
  cell(row: Row): ComponentChildren
  isNumber?: boolean
  /** Names the row: a heading of it. */
  isName?: boolean
  /** Spans the width of the card on a narrow screen, without its heading. */
  isWhole?: boolean
  sort?: { direction: 'ascending' | 'descending' | null; onSort(): void }
}

type Props<Row> = {
  caption: string
  columns: Column<Row>[]
  rows: Row[]
  keyOf(row: Row): string
  foot?: ComponentChildren
}

/**
 * A table that becomes a list of cards on a narrow screen. The roles are said because the browser takes
 * them away from what is not displayed as a table.
 */
export function Table<Row>({ caption, columns, rows, keyOf, foot }: Props<Row>) {
  return (
    <table class="table" role="table">
      <caption class="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <Heading key={column.id} column={column} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map((column) => (
              <Cell key={column.id} column={column} row={row} />
            ))}
          </tr>
        ))}
      </tbody>
      {foot}
    </table>
  )
}

function Heading<Row>({ column }: { column: Column<Row> }) {
  const { sort } = column
  return (
    <th
      scope="col"
      role="columnheader"
      class={classOf(column)}
      aria-sort={sort?.direction ?? undefined}
    >
      {sort ? (
        <button type="button" class="sort" onClick={sort.onSort}>
          {column.heading}
          <span class={`sort-arrow sort-${sort.direction ?? 'none'}`} aria-hidden="true" />
        </button>
      ) : (
        column.heading
      )}
    </th>
  )
}

function Cell<Row>({ column, row }: { column: Column<Row>; row: Row }) {
  const label = typeof column.heading === 'string' ? column.heading : undefined
  const content = column.cell(row)
  if (column.isName) {
    return (
      <th scope="row" role="rowheader" class={classOf(column)}>
        {content}
      </th>
    )
  }
  return (
    <td role="cell" class={classOf(column)} data-label={column.isWhole ? undefined : label}>
      {content}
    </td>
  )
}

function classOf<Row>(column: Column<Row>): string {
  const classes = [`column-${column.id}`]
  if (column.isNumber) classes.push('number')
  if (column.isName) classes.push('name')
  if (column.isWhole) classes.push('whole')
  return classes.join(' ')
}
