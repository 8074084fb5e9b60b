import { useMemo } from 'preact/hooks'
import uPlot from 'uplot'
import { fade, readColors } from '../../chart/colors.ts'
import { Plot } from '../../chart/plot.tsx'
import { clock, exact, short } from '../../format.ts'
import { language } from '../../text/language.ts'
import { text } from '../../text/text.ts'
import { scheme } from '../../theme.ts'

/** One look at what runs. */
export type Sample = { ms: number; speed: number; inFlight: number }

const HEIGHT = 196
/** The chart is never shorter than two minutes, so that it does not race at the beginning. */
const SPAN_SECONDS = 120
/** A pause longer than this is a gap in the line. */
const GAP_SECONDS = 5

/** Speed and requests in flight over the last minutes. */
export function Pulse({ samples }: { samples: Sample[] }) {
  const version = `${scheme.value} ${language.value}`
  // Colors and texts change with `version`.
  const options = useMemo(makeOptions, [version])
  const data = useMemo(() => alignedOf(samples), [samples])
  const last = samples[samples.length - 1]
  const label = text().now.chart(short(last?.speed ?? 0), exact(last?.inFlight ?? 0))
  return <Plot options={options} data={data} height={HEIGHT} version={version} label={label} />
}

/** Columns for the chart, with an empty place where nobody looked for a while. */
export function alignedOf(samples: Sample[]): uPlot.AlignedData {
  const times: number[] = []
  const speeds: (number | null)[] = []
  const flights: (number | null)[] = []
  for (const { ms, speed, inFlight } of samples) {
    const before = times[times.length - 1]
    if (before !== undefined && ms / 1000 - before > GAP_SECONDS) {
      times.push(before + 1)
      speeds.push(null)
      flights.push(null)
    }
    times.push(ms / 1000)
    speeds.push(speed)
    flights.push(inFlight)
  }
  return [times, speeds, flights]
}

function makeOptions(): Omit<uPlot.Options, 'width' | 'height'> {
  const colors = readColors()
  const axis = { stroke: colors.text, font: colors.font, ticks: { show: false } }
  return {
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 0, 0],
    scales: {
      x: { time: true, range: (plot) => rangeOfTime(plot.data[0]) },
      speed: { range: (_, __, max) => [0, Math.max(10, max * 1.15)] },
      flight: { range: (_, __, max) => [0, Math.max(4, Math.ceil(max * 1.3))] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        space: 90,
        values: (_, splits) => splits.map((second) => clock(second * 1000)),
      },
      {
        ...axis,
        scale: 'speed',
        size: 44,
        space: 36,
        grid: { stroke: colors.line, width: 1 },
        values: (_, splits) => splits.map(short),
      },
      {
        ...axis,
        scale: 'flight',
        side: 1,
        size: 34,
        space: 36,
        grid: { show: false },
        values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? short(value) : '')),
      },
    ],
    series: [
      {},
      {
        scale: 'speed',
        stroke: colors.accent,
        fill: fade(colors.accent, 0.14),
        width: 2,
        points: { show: false },
      },
      {
        scale: 'flight',
        stroke: colors.second,
        width: 1.5,
        points: { show: false },
        ...steppedPaths(),
      },
    ],
  }
}

function steppedPaths(): Pick<uPlot.Series, 'paths'> {
  const paths = uPlot.paths.stepped?.({ align: 1 })
  return paths ? { paths } : {}
}

/** By the times themselves: what uPlot hands over for a single one spans a whole day. */
function rangeOfTime(times: ArrayLike<number>): uPlot.Range.MinMax {
  const end = times[times.length - 1] ?? Date.now() / 1000
  return [Math.min(times[0] ?? end, end - SPAN_SECONDS), end]
}
