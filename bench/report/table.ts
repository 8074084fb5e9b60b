/** A table of Markdown: a head, and rows of cells. Numbers stand to the right. */
export function formatTable(head: readonly string[], rows: readonly string[][]): string[] {
  const marks = head.map((_, column) => (column === 0 ? '---' : '---:'))
  return [head, marks, ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}

/** A number with so many digits behind the point; a dash where there is none. */
export function show(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const text = value.toFixed(digits)
  return text.replace(/\B(?=(\d{3})+(?!\d)(?=\.|$))/g, ',')
}
