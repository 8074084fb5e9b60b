import { readColors } from '../../chart/colors.ts'
import { text } from '../../text/text.ts'
import { scheme } from '../../theme.ts'
import { Segments } from '../../ui/segments.tsx'
import type { Measure } from './query.ts'
import { colorOf } from './stack.tsx'
import type { Stack } from './sums.ts'

/** What the colors mean. */
export function ChartLegend({ stack }: { stack: Stack }) {
  const words = text().usage
  const colors = scheme.value ? readColors() : null
  return (
    <p class="legend">
      {stack.series.map((series, place) => (
        <span key={series.name} class="legend-item">
          <span
            class="dot"
            style={{ background: colors ? colorOf(series, place, colors) : undefined }}
          />
          {series.isRest ? words.rest : series.name || words.noName}
        </span>
      ))}
    </p>
  )
}

type Props = { measure: Measure; onMeasure(measure: Measure): void }

/** What is measured. */
export function MeasureSwitch({ measure, onMeasure }: Props) {
  const { measure: label, measures } = text().usage
  return (
    <Segments
      label={label}
      value={measure}
      options={[
        ['cost', measures.cost],
        ['tokens', measures.tokens],
        ['requests', measures.requests],
      ]}
      onChange={onMeasure}
    />
  )
}
