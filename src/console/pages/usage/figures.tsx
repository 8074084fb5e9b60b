import type { Dimension } from '../../api/types.ts'
import { cost, exact, percent, short } from '../../format.ts'
import { text } from '../../text/text.ts'
import { Tile } from '../../ui/parts.tsx'
import type { Measure, Range } from './query.ts'
import { emptySum, measured, type Sum } from './sums.ts'

type Props = { sums: Sum[]; by: Dimension; measure: Measure; range: Range }

/** The answer that most people come for, before the chart: who spent most. `sums` are ranked. */
export function Figures({ sums, by, measure, range }: Props) {
  const words = text().usage
  const total = emptySum('')
  for (const sum of sums) {
    total.requests += sum.requests
    total.refused += sum.refused
    total.promptTokens += sum.promptTokens
    total.completionTokens += sum.completionTokens
    total.cost += sum.cost
  }
  const first = sums[0]
  const all = measured(total, measure)
  const most = first && measured(first, measure) > 0 ? first : null
  const tokens = total.promptTokens + total.completionTokens
  return (
    <dl class="tiles">
      <Tile
        label={words.most[by]}
        value={most ? most.name || words.noName : '–'}
        note={
          most
            ? words.mostNote(
                amount(measured(most, measure), measure),
                percent(measured(most, measure) / all),
              )
            : words.ranges[range]
        }
      />
      <Tile label={words.measures.cost} value={cost(total.cost)} note={words.ranges[range]} />
      <Tile
        label={words.measures.tokens}
        value={short(tokens)}
        title={exact(tokens)}
        note={words.split(short(total.promptTokens), short(total.completionTokens))}
      />
      <Tile
        label={words.measures.requests}
        value={short(total.requests)}
        title={exact(total.requests)}
        note={words.refused(exact(total.refused))}
      />
    </dl>
  )
}

function amount(value: number, measure: Measure): string {
  const words = text().usage
  switch (measure) {
    case 'cost':
      return cost(value)
    case 'tokens':
      return words.tokens(short(value))
    case 'requests':
      return words.requests(short(value))
  }
}
