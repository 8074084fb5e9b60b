import type { Step, UsageRow } from '../../api/types.ts'
import { cost, dayIn, dayOnly, exact, timeOnly, utc } from '../../format.ts'
import { text } from '../../text/text.ts'
import { type Column, Table } from '../../ui/table.tsx'
import { emptySum, type Sum, sumBy } from './sums.ts'

type Props = { rows: UsageRow[]; step: Step; zone: number; times: number[] }

/** The chart in numbers, the newest first: for those who do not see it, and for those who want it exact. */
export function Over({ rows, step, zone, times }: Props) {
  const words = text().usage
  const sums = new Map(
    sumBy(rows, ({ time }) => String(Date.parse(time ?? ''))).map((sum) => [sum.name, sum]),
  )
  const shown = [...times].reverse().map((ms) => sums.get(String(ms)) ?? emptySum(String(ms)))
  const number = (id: string, heading: string, cell: (sum: Sum) => string): Column<Sum> => ({
    id,
    heading,
    cell,
    isNumber: true,
  })
  const { columns } = words
  return (
    <details class="more">
      <summary>{words.numbers}</summary>
      <Table
        caption={words.overTime[step]}
        rows={shown}
        keyOf={({ name }) => name}
        columns={[
          {
            id: 'time',
            heading: words.steps[step],
            isName: true,
            cell: ({ name }) => <Moment ms={Number(name)} step={step} zone={zone} />,
          },
          number('requests', columns.requests, (sum) => exact(sum.requests)),
          number('promptTokens', columns.promptTokens, (sum) => exact(sum.promptTokens)),
          number('completionTokens', columns.completionTokens, (sum) =>
            exact(sum.completionTokens),
          ),
          number('cost', columns.cost, (sum) => cost(sum.cost)),
        ]}
      />
    </details>
  )
}

function Moment({ ms, step, zone }: { ms: number; step: Step; zone: number }) {
  const shown = step === 'day' ? dayIn(ms, zone) : `${dayOnly(ms)} ${timeOnly(ms)}`
  return (
    <time dateTime={new Date(ms).toISOString()} title={utc(ms)}>
      {shown}
    </time>
  )
}
