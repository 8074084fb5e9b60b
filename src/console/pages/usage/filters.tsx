import type { Dimension, Step } from '../../api/types.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { Segments } from '../../ui/segments.tsx'
import { hasHours, type Query, type Range } from './query.ts'

type Props = { query: Query; nowMs: number; zone: number; onChange(changed: Partial<Query>): void }

export function Filters({ query, nowMs, zone, onChange }: Props) {
  const words = text().usage
  const { dimensions } = text().names
  const ranges: Range[] = ['24h', '7d', '30d', 'custom']
  const by: Dimension[] = ['client', 'model', 'group', 'key']
  return (
    <div class="filters">
      <Segments
        label={words.range}
        value={query.range}
        options={ranges.map((range) => [range, words.ranges[range]])}
        onChange={(range) => onChange({ range, step: range === '24h' ? 'hour' : 'day' })}
      />
      {query.range === 'custom' ? (
        <div class="filters-dates">
          <TextField
            label={words.from}
            type="date"
            value={query.from}
            onChange={(from) => from && onChange({ from })}
          />
          <TextField
            label={words.to}
            type="date"
            value={query.to}
            onChange={(to) => to && onChange({ to })}
          />
        </div>
      ) : null}
      <SelectField
        label={words.by}
        value={query.by}
        options={by.map((one) => [one, dimensions[one]])}
        onChange={(one) => onChange({ by: one as Dimension })}
      />
      <SelectField
        label={words.step}
        value={query.step}
        options={stepsOf(query, nowMs, zone)}
        onChange={(step) => onChange({ step: step as Step })}
      />
      {query.client ? (
        <Chip name={words.onlyClient(query.client)} onDrop={() => onChange({ client: '' })} />
      ) : null}
      {query.model ? (
        <Chip name={words.onlyModel(query.model)} onDrop={() => onChange({ model: '' })} />
      ) : null}
    </div>
  )
}

function stepsOf(query: Query, nowMs: number, zone: number): [string, string][] {
  const words = text().usage
  const day: [string, string] = ['day', words.steps.day]
  return hasHours(query, nowMs, zone) ? [['hour', words.steps.hour], day] : [day]
}

function Chip({ name, onDrop }: { name: string; onDrop(): void }) {
  return (
    <span class="chip">
      {name}
      <Button kind="quiet" isSmall icon="cross" label={text().usage.drop(name)} onClick={onDrop} />
    </span>
  )
}
