import type { Results } from '../results.ts'
import type { Chart } from './charts.ts'
import {
  bundleSection,
  foldingSection,
  latencySection,
  loadingSection,
  loadSection,
  memorySection,
  requestSection,
  reuseSection,
  soakSection,
  startupSection,
  streamSection,
} from './sections.ts'
import { show } from './table.ts'
import { formatTargets, listTargets } from './targets.ts'
import { formatMisses } from './why.ts'

/** RESULTS.md: all tables and pictures of a run. */
export function formatReport(results: Results, charts: readonly Chart[]): string {
  const misses = formatMisses(results)
  const { single = [], reuse = [] } = results
  const lines = [
    '# Results',
    '',
    `Written by \`npm run bench${results.isQuick ? ' -- --quick' : ''}\`, ${results.date}.`,
    'What is measured, and how: [README.md](README.md). What was tried: [NOTES.md](NOTES.md).',
    '',
    ...machineLines(results),
    ...section('Targets', listTargets(results).length, formatTargets(results)),
    ...section('Why the missed ones are missed', misses.length, misses),
    ...section('Small requests', results.requests.length, requestSection(results)),
    ...picture(charts, 'ratios.svg'),
    ...section('One caller after the other', single.length, loadSection(single, 'keys')),
    ...section('Large requests', results.bodies.length, loadSection(results.bodies, 'bytes')),
    ...section('Many keys', results.keys.length, loadSection(results.keys, 'keys')),
    ...section('Adding up the ledger', results.folding.length, foldingSection(results)),
    ...section('Streams', results.streams.length, streamSection(results)),
    ...section('When events come, in ms', results.streams.length, latencySection(results)),
    ...picture(charts, 'gaps.svg'),
    ...section('Memory', results.memory.length, memorySection(results.memory)),
    ...picture(charts, 'memory.svg'),
    ...section('What a worker keeps', reuse.length, reuseSection(reuse)),
    ...section('Loading clients', results.loading.length, loadingSection(results)),
    ...section('Start', results.startup.length, startupSection(results)),
    ...section('Bundles', results.bundles.length, bundleSection(results)),
    ...peerSections(results),
    ...section('Soak', results.soak.length, soakSection(results)),
    ...picture(charts, 'soak.svg'),
    ...section('Left out', results.notes.length, noteLines(results)),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}

function section(title: string, size: number, lines: readonly string[]): string[] {
  return size === 0 ? [] : [`## ${title}`, '', ...lines, '']
}

function picture(charts: readonly Chart[], file: string): string[] {
  const chart = charts.find((candidate) => candidate.file === file)
  return chart === undefined
    ? []
    : [`![${chart.title}](charts/${file})`, '', `*${chart.title}*`, '']
}

function noteLines(results: Results): string[] {
  return results.notes.map((note) => `- ${note.split('\n')[0] ?? ''}`)
}

function machineLines(results: Results): string[] {
  const { machine, mock, versions } = results
  const lines = [
    `- Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; ${machine.system}, ` +
      `Linux ${machine.kernel}, Node ${machine.node}; load before the run ${machine.loadBefore}`,
    machine.isPinned
      ? '- The worker has core 0 for itself; mock and client are on the others'
      : '- Nothing is pinned to a core, which makes all figures less exact',
    ...versions.map(
      ({ world, nginx, njs, engine }) =>
        `- \`${world}\`: nginx ${nginx}, njs ${njs}, ${engine === 'qjs' ? 'QuickJS' : "njs's own engine"}`,
    ),
  ]
  if (mock === null) return [...lines, '']
  return [
    ...lines,
    `- Load by ${results.loadTool}. Asked directly, what stands behind gives ` +
      `${show(mock.requestsPerSecond, 0)} requests/s; at ${mock.streams} streams of ` +
      `${mock.perSecond} tokens/s the mock takes ${show(mock.busyAtStreams * 100, 0)} % of a core, ` +
      `and its events are ${show(mock.transit.at[3], 2)} ms on the way (p99 ` +
      `${show(mock.transit.at[7], 2)} ms), the gaps between them ${show(mock.gaps.at[7], 2)} ms too ` +
      'long at p99',
    '',
  ]
}

function peerSections(results: Results): string[] {
  const { requests, streams, memory } = results.peers
  if (requests.length === 0) return []
  const both = { ...results, streams }
  return [
    '## Peers',
    '',
    'What each does and does not do: [peers/](peers/). Behind all of them is the mock.',
    '',
    ...loadSection(requests, 'keys'),
    '',
    ...streamSection({ ...both, instructions: [] }),
    '',
    ...latencySection(both),
    '',
    // Results of before have none.
    ...memorySection(memory ?? []),
    '',
  ]
}
