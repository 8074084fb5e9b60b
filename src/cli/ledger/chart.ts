import { drawBar, type Screen } from './screen.ts'
import { clip, costDecimals, costOfNanos, exact, safe, short } from './text.ts'
import type { Totals } from './totals.ts'

/** One line of the table: a name as it stands in the ledger, and its sums. */
export type Row = { name: string; totals: Totals }

const GAP = '  '
const NAME_WIDTH_WANTED = 24
const NAME_WIDTH_MIN = 8
const BAR_WIDTH_MIN = 6
const BAR_WIDTH_MAX = 40

type Measure = { title: string; of: (totals: Totals) => number }

/**
 * A table of sums with bars, as wide as the screen. Where whole numbers leave no room they are
 * shortened (12.3M); a name that is still too long is cut. Sums that are estimated have a ~.
 */
export function drawTable(title: string, rows: Row[], total: Totals, screen: Screen): string {
  const measure = chooseMeasure(total)
  const names = [...rows.map(({ name }) => safe(name) || '-'), 'total']
  const all = [...rows.map(({ totals }) => totals), total]
  const wide = layOut(all, false)
  const isWide = roomOf(wide, screen) >= Math.min(widthOf(names), NAME_WIDTH_WANTED) + BAR_WIDTH_MIN
  const columns = isWide ? wide : layOut(all, true)
  const room = roomOf(columns, screen)
  const nameWidth = Math.min(
    widthOf([title, ...names]),
    Math.max(NAME_WIDTH_MIN, room - BAR_WIDTH_MIN),
  )
  const barWidth = Math.min(BAR_WIDTH_MAX, room - nameWidth)
  const largest = Math.max(...rows.map(({ totals }) => measure.of(totals)))
  const bars = rows.map(({ totals }) => drawBar(measure.of(totals) / largest, barWidth, screen))
  const lineOf = (name: string, cells: string[], end: string) =>
    [clip(name, nameWidth).padEnd(nameWidth), ...cells, end].join(GAP).trimEnd()
  const cellsOf = (at: number) => columns.map((column) => column[at] ?? '')
  const heading = barWidth >= measure.title.length ? measure.title : ''
  return [
    lineOf(title, cellsOf(0), heading),
    ...rows.map((_, at) => lineOf(names[at] ?? '', cellsOf(at + 1), bars[at] ?? '')),
    lineOf('total', cellsOf(rows.length + 1), ''),
  ].join('\n')
}

/** What the bars show: cost where there are prices, else tokens, else requests. */
function chooseMeasure(total: Totals): Measure {
  if (total.costNanos > 0) return { title: 'BY COST', of: ({ costNanos }) => costNanos }
  const tokens = (totals: Totals) => totals.promptTokens + totals.completionTokens
  if (tokens(total) > 0) return { title: 'BY TOKENS', of: tokens }
  return { title: 'BY REQUESTS', of: ({ requests }) => requests }
}

/** The columns of numbers, heading first, every cell of a column as wide as the others. */
function layOut(all: Totals[], isShort: boolean): string[][] {
  const write = isShort ? short : exact
  const costMax = Math.max(...all.map(({ costNanos }) => costNanos))
  const decimals = costDecimals(costMax, isShort)
  // Without prices nothing costs anything, which is not worth zeros.
  const cost = (totals: Totals) => (costMax > 0 ? writeCost(totals, decimals) : '-')
  const tokens = (number: number, { isEstimated }: Totals) =>
    `${isEstimated && number > 0 ? '~' : ''}${write(number)}`
  const columns = [
    [isShort ? 'REQ.' : 'REQUESTS', ...all.map(({ requests }) => write(requests))],
    [isShort ? 'REF.' : 'REFUSED', ...all.map(({ refused }) => write(refused))],
    [isShort ? 'ERR.' : 'ERRORS', ...all.map(({ errors }) => write(errors))],
    ['PROMPT', ...all.map((totals) => tokens(totals.promptTokens, totals))],
    ['CACHED', ...all.map((totals) => tokens(totals.cachedTokens, totals))],
    [
      isShort ? 'COMPL.' : 'COMPLETION',
      ...all.map((totals) => tokens(totals.completionTokens, totals)),
    ],
    ['COST', ...all.map(cost)],
  ]
  return columns.map((cells) => {
    const width = widthOf(cells)
    return cells.map((cell) => cell.padStart(width))
  })
}

/** What does not show in the decimals of its column is shown as less than the smallest that does. */
function writeCost({ costNanos, isEstimated }: Totals, decimals: number): string {
  const units = costOfNanos(costNanos)
  const smallest = 10 ** -decimals
  if (costNanos > 0 && units < smallest / 2) return `<${smallest.toFixed(decimals)}`
  const [whole = '', fraction = ''] = units.toFixed(decimals).split('.')
  return `${isEstimated && costNanos > 0 ? '~' : ''}${exact(Number(whole))}.${fraction}`
}

/** What a line has left for its name and its bar. */
function roomOf(columns: string[][], { width }: Screen): number {
  if (width === null) return Number.POSITIVE_INFINITY
  const taken = columns.reduce((sum, [cell = '']) => sum + cell.length + GAP.length, 0)
  return width - taken - GAP.length
}

function widthOf(cells: string[]): number {
  return cells.reduce((width, cell) => Math.max(width, [...cell].length), 0)
}
