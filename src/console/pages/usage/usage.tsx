import { useMemo, useState } from 'preact/hooks'
import { formatTime } from '../../../core/time.ts'
import { getUsage } from '../../api/calls.ts'
import type { Usage } from '../../api/types.ts'
import { SERIES_MAX } from '../../chart/colors.ts'
import { useLoad } from '../../load.ts'
import { replaceQuery, route } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { Empty, PageHead, Panel, Skeleton } from '../../ui/parts.tsx'
import { zoneMinutes, zoneName } from '../../zone.ts'
import { saveFile, toCsv } from './csv.ts'
import { Figures } from './figures.tsx'
import { Filters } from './filters.tsx'
import { ChartLegend, MeasureSwitch } from './legend.tsx'
import { Over } from './over.tsx'
import { type Measure, periodOf, type Query, readQuery, timesOf, writeQuery } from './query.ts'
import { Ranking } from './ranking.tsx'
import { StackChart } from './stack.tsx'
import { measured, nameIn, rank, stackOf, sumBy } from './sums.ts'

/** Who used how much, over time and in all. */
export function UsagePage() {
  const words = text().usage
  const [nowMs] = useState(Date.now())
  const zone = zoneMinutes()
  const query = readQuery(route.value.query, nowMs, zone)
  const change = (changed: Partial<Query>) => replaceQuery(writeQuery({ ...query, ...changed }))
  const { sinceMs, untilMs } = periodOf(query, nowMs, zone)
  const asked = {
    by: `${query.by},${query.step}`,
    since: iso(sinceMs),
    until: iso(untilMs),
    client: query.client,
    model: query.model,
  }
  const usage = useLoad(JSON.stringify(asked), (signal) => getUsage(asked, signal))
  return (
    <>
      <PageHead title={words.title} lead={words.lead(zoneName(zone))}>
        <Button
          icon="download"
          whyNot={usage.data?.rows.length ? null : words.noCsv}
          onClick={() => {
            if (usage.data) saveFile(fileName(query, sinceMs, zone), toCsv(usage.data.rows))
          }}
        >
          {words.csv}
        </Button>
      </PageHead>
      <Filters query={query} nowMs={nowMs} zone={zone} onChange={change} />
      {usage.problem ? <ProblemNotice problem={usage.problem} onRetry={usage.reload} /> : null}
      {usage.data ? (
        <div class={usage.isLoading ? 'is-loading' : undefined} aria-busy={usage.isLoading}>
          <Shown
            usage={usage.data}
            query={query}
            times={timesOf(sinceMs, untilMs, query.step, zone)}
            zone={zone}
            onMeasure={(measure) => change({ measure })}
          />
        </div>
      ) : usage.isLoading ? (
        <Skeleton lines={9} isTall />
      ) : null}
    </>
  )
}

type ShownProps = {
  usage: Usage
  query: Query
  times: number[]
  /** Where days begin, minutes east of UTC. */
  zone: number
  onMeasure(measure: Measure): void
}

function Shown({ usage, query, times, zone, onMeasure }: ShownProps) {
  const words = text().usage
  const { by, step } = query
  const sums = useMemo(() => sumBy(usage.rows, (row) => nameIn(row, by)), [usage, by])
  const measure = query.measure || (sums.some(({ cost }) => cost > 0) ? 'cost' : 'tokens')
  const ranked = rank(sums, measure)
  const stack = useMemo(
    () => stackOf(usage.rows, by, rank(sums, measure), times, measure, SERIES_MAX),
    // The times belong to the usage.
    [usage, sums, measure],
  )
  const total = ranked.reduce((sum, one) => sum + measured(one, measure), 0)
  return (
    <>
      {usage.isPartial ? <Notice tone="info" title={words.partial} /> : null}
      <Figures sums={ranked} by={by} measure={measure} range={query.range} />
      {sums.length === 0 ? (
        <Empty icon="usage" title={words.nothing}>
          <p>{words.nothingHint}</p>
        </Empty>
      ) : (
        <>
          <Panel
            title={words.overTime[step]}
            aside={<MeasureSwitch measure={measure} onMeasure={onMeasure} />}
          >
            <ChartLegend stack={stack} />
            <StackChart
              stack={stack}
              step={step}
              zone={zone}
              measure={measure}
              label={words.chart(words.measures[measure], words.overTime[step])}
            />
            <Over rows={usage.rows} step={step} zone={zone} times={times} />
          </Panel>
          <Panel title={words.rankingBy[by]} isFlush>
            <Ranking sums={sums} by={by} measure={measure} total={total} />
          </Panel>
        </>
      )}
    </>
  )
}

function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

function fileName({ by, step }: Query, sinceMs: number, zone: number): string {
  const since = formatTime(sinceMs, zone).slice(0, 10)
  return `tollgate-usage-by-${by}-and-${step}-since-${since}.csv`
}
