import { type Family, listFamilies } from './catalog.ts'
import { HISTOGRAMS, type Histogram } from './histograms.ts'

/** Samples by the names of their families: text without the names. */
export type Samples = { [family: string]: string[] }

/** The two formats that Prometheus asks for, by their media types. */
export const PLAIN_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
export const OPEN_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Adds one sample. Labels are told in the order of the object. */
export function addSample(
  samples: Samples,
  family: string,
  labels: { [name: string]: string },
  value: number,
): void {
  addText(samples, family, `${formatLabels(labels)} ${value}\n`)
}

/** Adds a sample that is text already, without the name of its family. */
export function addText(samples: Samples, family: string, text: string): void {
  const list = samples[family]
  if (list) list.push(text)
  else samples[family] = [text]
}

function formatLabels(labels: { [name: string]: string }): string {
  const parts = Object.keys(labels).map((name) => `${name}="${escapeLabel(labels[name] || '')}"`)
  return parts.length > 0 ? `{${parts.join(',')}}` : ''
}

const SPECIAL = /[\\"\n]/

/** As both formats want it: backslash, quote and end of line. */
export function escapeLabel(text: string): string {
  return SPECIAL.test(text)
    ? text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
    : text
}

/** Adds one histogram of a model: its numbers as they were counted, missing ones are none. */
function addHistogram(
  samples: Samples,
  histogram: Histogram,
  labels: { [name: string]: string },
  numbers: number[],
): void {
  const bounds = histogram.bounds
  const of = formatLabels(labels)
  const open = of ? `${of.slice(0, -1)},` : '{'
  let count = 0
  for (let i = 0; i <= bounds.length; i++) {
    count += numbers[histogram.at + i] || 0
    const bound = i < bounds.length ? formatBound((bounds[i] as number) / histogram.scale) : '+Inf'
    addText(samples, histogram.name, `_bucket${open}le="${bound}"} ${count}\n`)
  }
  const sum = (numbers[histogram.at + bounds.length + 1] || 0) / histogram.scale
  addText(samples, histogram.name, `_sum${of} ${sum}\n`)
  addText(samples, histogram.name, `_count${of} ${count}\n`)
}

/** The same in both formats, so that they are the same series: OpenMetrics wants `1.0`. */
function formatBound(bound: number): string {
  return bound % 1 === 0 ? `${bound}.0` : `${bound}`
}

/** The histograms, by the numbers of their models, whose names have a dot before them. */
export function addHistograms(samples: Samples, models: { [model: string]: number[] }): void {
  HISTOGRAMS.forEach((histogram) => {
    Object.keys(models).forEach((model) => {
      const numbers = models[model] as number[]
      const isEmpty = histogram.bounds.concat([0]).every((_, i) => !numbers[histogram.at + i])
      if (histogram.isByModel ? isEmpty : model !== '.') return
      const of = histogram.isByModel ? { gen_ai_request_model: model.slice(1) } : {}
      addHistogram(samples, histogram, Object.assign(of, histogram.labels), numbers)
    })
  })
}

/** The whole answer, in one of the two formats: a text for each family. */
export function formatMetrics(samples: Samples, isOpen: boolean): string[] {
  const texts: string[] = []
  listFamilies().forEach((family) => {
    const list = samples[family.name]
    if (list) texts.push(formatFamily(family, list, isOpen))
  })
  if (isOpen) texts.push('# EOF\n')
  return texts
}

function formatFamily(family: Family, list: string[], isOpen: boolean): string {
  const total = family.type === 'counter' ? `${family.name}_total` : family.name
  const name = isOpen ? family.name : total
  const unit = isOpen && /_(seconds|bytes)$/.exec(name)
  return `# HELP ${name} ${family.help}\n# TYPE ${name} ${family.type}\n${
    unit ? `# UNIT ${name} ${unit[1]}\n` : ''
  }${total}${list.join(total)}`
}

/** Whether somebody would rather have OpenMetrics, by their Accept header (RFC 9110, 12.5.1). */
export function prefersOpen(accept: string | undefined): boolean {
  let open = 0
  let plain = 0
  const parts = (accept || '').toLowerCase().split(',')
  parts.forEach((part) => {
    const fields = part.split(';').map((field) => field.trim())
    const quality = fields.find((field) => field.startsWith('q='))
    const weight = quality === undefined ? 1 : Number(quality.slice(2)) || 0
    const version = fields.find((field) => field.startsWith('version='))
    const isKnown = version === undefined || version === 'version=1.0.0'
    if (fields[0] === 'application/openmetrics-text' && isKnown) open = Math.max(open, weight)
    if (fields[0] === 'text/plain') plain = Math.max(plain, weight)
  })
  return open > 0 && open >= plain
}
