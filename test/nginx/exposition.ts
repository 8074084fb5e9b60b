import type { Gate } from './harness.ts'

/** One sample of /metrics: its name, its labels, its value. */
export type Sample = { name: string; labels: Record<string, string>; value: number }

/** Reads /metrics, and its samples; with the token of the gate, unless there is another. */
export async function scrape(gate: Gate, accept?: string, token = gate.adminToken) {
  const response = await gate.admin('/metrics', { token, headers: accept ? { accept } : {} })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`/metrics: ${response.status} ${text}`)
  return { text, type: response.headers.get('content-type'), samples: parse(text) }
}

function parse(text: string): Sample[] {
  const lines = text.split('\n').filter((line) => line && !line.startsWith('#'))
  return lines.map((line) => {
    const [, name = '', labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (value === undefined) throw new Error(`No sample: ${line}`)
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
    return {
      name,
      labels: Object.fromEntries(pairs.map(([, label, text = '']) => [label, readEscapes(text)])),
      value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
    }
  })
}

function readEscapes(text: string): string {
  return text.replace(/\\(.)/g, (_, one) => (one === 'n' ? '\n' : one))
}

/** The sum of the samples of a name that have these labels. */
export function total(
  samples: Sample[],
  name: string,
  labels: Record<string, string> = {},
): number {
  return samples
    .filter((one) => one.name === name)
    .filter((one) => Object.entries(labels).every(([label, text]) => one.labels[label] === text))
    .reduce((sum, { value }) => sum + value, 0)
}

/** The families that a text tells, by their names without `_total`. */
export function familiesOf(text: string): Set<string> {
  const names = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name)
  return new Set(names.map((name) => name.replace(/_total$/, '')))
}
