import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type EChartsOption, init } from 'echarts'
import { PARTS_OF_ALL } from '../load/recorder.ts'
import type { Results } from '../results.ts'
import { labelOf } from '../subjects.ts'

/** A picture in the report: its file and its title. */
export type Chart = { file: string; title: string }

const WIDTH = 860
/** Read well on white and on black. */
const TEXT = '#7d8590'
const LINE = '#7d859055'
const COLORS = [
  '#7d8590',
  '#d29922',
  '#8957e5',
  '#2f81f7',
  '#3fb950',
  '#f0656a',
  '#39a9c0',
  '#db61a2',
]

/** Draws what there are figures for, and returns what it has drawn. */
export async function writeCharts(folder: string, results: Results): Promise<Chart[]> {
  const drawings = [drawRatios(results), drawGaps(results), drawMemory(results), drawSoak(results)]
  const charts: Chart[] = []
  for (const drawing of drawings) {
    if (drawing === null) continue
    const { file, title, height, option } = drawing
    await writeFile(join(folder, file), render(option, height))
    charts.push({ file, title })
  }
  return charts
}

type Drawing = Chart & { height: number; option: EChartsOption }

function render(option: EChartsOption, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({
    animation: false,
    backgroundColor: 'transparent',
    color: COLORS,
    textStyle: { color: TEXT, fontFamily: 'sans-serif' },
    ...option,
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

const axis = {
  axisLabel: { color: TEXT },
  axisLine: { lineStyle: { color: LINE } },
  splitLine: { lineStyle: { color: LINE } },
  nameTextStyle: { color: TEXT },
}
const legend = { textStyle: { color: TEXT }, top: 0, type: 'plain' as const }

/** Bars of CPU time against plain proxy_pass, by subject. */
function drawRatios(results: Results): Drawing | null {
  const requests = results.requests.filter(({ subject }) => !subject.includes(' plain'))
  if (requests.length === 0) return null
  const labels = requests.map(({ subject }) => labelOf(subject))
  const events = new Map(
    results.streams
      .filter(({ streams, asks }) => streams === 256 && !asks)
      .map(({ subject, ratio }) => [subject, ratio]),
  )
  const value = (number: number | undefined) => Number((number ?? Number.NaN).toFixed(2))
  const label = { show: true, position: 'right' as const, color: TEXT }
  return {
    file: 'ratios.svg',
    title: 'CPU time of the worker against plain proxy_pass of the same nginx',
    height: 120 + requests.length * 44,
    option: {
      legend,
      grid: { left: 300, right: 60, top: 40, bottom: 40 },
      xAxis: { type: 'value', name: 'x plain', nameLocation: 'middle', nameGap: 25, ...axis },
      yAxis: { type: 'category', inverse: true, data: labels, ...axis },
      series: [
        {
          name: 'small request',
          type: 'bar',
          itemStyle: { color: '#2f81f7' },
          label,
          data: requests.map(({ ratio }) => value(ratio)),
        },
        {
          name: 'streamed event, 256 streams',
          type: 'bar',
          itemStyle: { color: '#3fb950' },
          label,
          data: requests.map(({ subject }) => value(events.get(subject))),
        },
      ],
    },
  }
}

/** How much later than on time events come, by the part of all events. */
function drawGaps(results: Results): Drawing | null {
  const rows = results.streams.filter(({ streams, asks, subject }) => {
    return streams === 256 && !asks && / (plain|all)/.test(subject)
  })
  if (rows.length === 0) return null
  return {
    file: 'gaps.svg',
    title: 'Between two tokens: later than the interval, 256 streams of 50 tokens/s',
    height: 360,
    option: {
      legend: { ...legend, data: rows.map(({ subject }) => labelOf(subject)) },
      grid: { left: 70, right: 30, top: 70, bottom: 50 },
      xAxis: {
        type: 'category',
        name: 'part of all events',
        nameLocation: 'middle',
        nameGap: 30,
        data: PARTS_OF_ALL.map((part) => `${part * 100} %`),
        ...axis,
      },
      yAxis: { type: 'value', name: 'ms', ...axis },
      series: rows.map(({ subject, gaps }) => ({
        name: labelOf(subject),
        type: 'line' as const,
        symbolSize: 5,
        data: gaps.at.map((ms) => Number(ms.toFixed(3))),
      })),
    },
  }
}

/** Memory of the worker by the number of open streams. */
function drawMemory(results: Results): Drawing | null {
  const rows = results.memory
  // What was measured at one number only is no line.
  const isLine = (subject: string) => rows.filter((row) => row.subject === subject).length > 1
  const subjects = [...new Set(rows.map(({ subject }) => subject))]
  const lines = subjects.some(isLine) ? subjects.filter(isLine) : subjects
  return drawMegabytes({
    file: 'memory.svg',
    title: 'Resident memory of one worker by open streams',
    by: 'open streams',
    lines: lines.map((subject) => {
      const own = rows.filter((row) => row.subject === subject)
      return { subject, points: own.map(({ streams, rssKb }) => ({ at: streams, rssKb })) }
    }),
  })
}

/** Memory over the minutes of the soak. */
function drawSoak(results: Results): Drawing | null {
  return drawMegabytes({
    file: 'soak.svg',
    title: 'Resident memory of one worker under steady load',
    by: 'minutes',
    lines: results.soak.map(({ subject, points }) => {
      return { subject, points: points.map(({ minute, rssKb }) => ({ at: minute, rssKb })) }
    }),
  })
}

type Line = { subject: string; points: { at: number; rssKb: number }[] }

function drawMegabytes({ by, lines, ...chart }: Chart & { by: string; lines: Line[] }) {
  if (lines.length === 0) return null
  const option: EChartsOption = {
    legend,
    grid: { left: 70, right: 30, top: 110, bottom: 50 },
    xAxis: { type: 'value', name: by, nameLocation: 'middle', nameGap: 30, ...axis },
    yAxis: { type: 'value', name: 'MB', ...axis },
    series: lines.map(({ subject, points }) => ({
      name: labelOf(subject),
      type: 'line' as const,
      data: points.map(({ at, rssKb }) => [at, Math.round(rssKb / 1024)]),
    })),
  }
  return { ...chart, height: 380, option }
}
