import { useMemo } from 'preact/hooks'
import uPlot from 'uplot'
import type { Step } from '../../api/types.ts'
import { type Colors, readColors } from '../../chart/colors.ts'
import { Plot } from '../../chart/plot.tsx'
import { type Tip, tooltip } from '../../chart/tooltip.ts'
import { clock, cost, dayIn, dayOnly, exact, short, timeOnly } from '../../format.ts'
import { language } from '../../text/language.ts'
import { text } from '../../text/text.ts'
import { scheme } from '../../theme.ts'
import { zoneName } from '../../zone.ts'
import type { Measure } from './query.ts'
import type { Series, Stack } from './sums.ts'

const HEIGHT = 260
/** A label of the axis takes about so much. */
const LABEL_PIXELS = 62
/** Rows of the box at the pointer. */
const TIP_ROWS = 8

type Props = { stack: Stack; step: Step; zone: number; measure: Measure; label: string }

/** Stacked bars, one for each hour or day. */
export function StackChart({ stack, step, zone, measure, label }: Props) {
  const names = stack.series.map(({ name }) => name)
  const version = JSON.stringify([
    scheme.value,
    language.value,
    step,
    zone,
    measure,
    names,
    stack.times,
  ])
  // `version` holds what options depend on.
  const options = useMemo(() => makeOptions(stack, step, zone, measure), [version])
  const data = useMemo(() => cumulate(stack), [stack])
  return <Plot options={options} data={data} height={HEIGHT} version={version} label={label} />
}

/**
 * Each series is drawn from zero to the sum of itself and those below it, the highest first, so that the
 * next covers all but its own part.
 */
export function cumulate({ times, series }: Stack): uPlot.AlignedData {
  const sums = times.map(() => 0)
  const layers = series.map(({ values }) =>
    values.map((value, i) => {
      const sum = (sums[i] ?? 0) + value
      sums[i] = sum
      return sum
    }),
  )
  return [times.map((ms) => ms / 1000), ...layers.reverse()]
}

function makeOptions(
  stack: Stack,
  step: Step,
  zone: number,
  measure: Measure,
): Omit<uPlot.Options, 'width' | 'height'> {
  const colors = readColors()
  const size = step === 'hour' ? 3600 : 86_400
  const axis = { stroke: colors.text, font: colors.font, ticks: { show: false } }
  const show = measure === 'cost' ? cost : short
  return {
    legend: { show: false },
    padding: [12, 8, 0, 0],
    cursor: {
      x: false,
      y: false,
      points: { show: false },
      drag: { x: false, y: false },
    },
    scales: {
      x: { time: true, range: (_, min, max) => [min - size / 2, max + size / 2] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        splits: (plot) => spread(stack.times, plot.over.clientWidth || plot.width),
        values: (_, splits) => splits.map((second) => labelOf(second * 1000, step, zone)),
      },
      {
        ...axis,
        size: 52,
        space: 44,
        grid: { stroke: colors.line, width: 1 },
        values: (_, splits) => splits.map(show),
      },
    ],
    series: [{}, ...[...stack.series].map((one, i) => barsOf(one, i, colors)).reverse()],
    plugins: [tooltip((column) => describe(stack, column, step, zone, measure, colors))],
  }
}

function barsOf(series: Series, place: number, colors: Colors): uPlot.Series {
  const color = colorOf(series, place, colors)
  const paths = uPlot.paths.bars?.({ size: [0.72, 44] })
  return {
    fill: color,
    stroke: color,
    width: 0,
    points: { show: false },
    ...(paths ? { paths } : {}),
  }
}

export function colorOf(series: { isRest: boolean }, place: number, colors: Colors): string {
  return series.isRest ? colors.rest : (colors.series[place] ?? colors.rest)
}

/** So many of the times as have room for their labels, in seconds. */
function spread(times: number[], width: number): number[] {
  const every = Math.max(1, Math.ceil((times.length * LABEL_PIXELS) / Math.max(1, width)))
  return times.filter((_, i) => (times.length - 1 - i) % every === 0).map((ms) => ms / 1000)
}

function labelOf(ms: number, step: Step, zone: number): string {
  if (step === 'day') return dayIn(ms, zone)
  const isMidnight = clock(ms).startsWith('00:00')
  return isMidnight ? dayOnly(ms) : timeOnly(ms)
}

function describe(
  { times, series }: Stack,
  column: number,
  step: Step,
  zone: number,
  measure: Measure,
  colors: Colors,
): Tip | null {
  const ms = times[column]
  if (ms === undefined) return null
  const words = text().usage
  const show = measure === 'cost' ? cost : exact
  const amountOf = ({ values }: Series) => values[column] ?? 0
  const rows = series
    .map((one, place) => ({
      color: colorOf(one, place, colors),
      name: one.isRest ? words.rest : one.name || words.noName,
      amount: amountOf(one),
    }))
    .filter(({ amount }) => amount > 0)
    .slice(0, TIP_ROWS)
    .map(({ color, name, amount }) => ({ color, name, value: show(amount) }))
  const sum = series.reduce((total, one) => total + amountOf(one), 0)
  const title =
    step === 'day' ? `${dayIn(ms, zone)} (${zoneName(zone)})` : `${dayOnly(ms)} ${timeOnly(ms)}`
  return {
    title,
    rows,
    total: { color: 'transparent', name: words.total, value: show(sum) },
  }
}
