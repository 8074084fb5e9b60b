import type { Grant } from '../../../core/config/shapes.ts'
import { cost, exact } from '../../format.ts'
import { text } from '../../text/text.ts'
import { AreaField, SelectField, TextField } from '../../ui/field.tsx'
import { type Draft, KINDS, type Path, textOf, valueAt } from './draft.ts'

/** What every input of a form needs. */
export type Form = {
  /** Whose fields they are: what an empty one means. */
  of: 'client' | 'plan' | 'key'
  draft: Draft
  /** What the chosen plan of a client gives. */
  plan: Grant | undefined
  wrong: Path[]
  isReadOnly: boolean
  set(path: Path, value: string): void
}

type NumberProps = {
  form: Form
  path: Path
  label: string
  /** What holds where neither client nor plan says anything; left out: nothing does. */
  usual?: number
}

export function NumberInput({ form, path, label, usual }: NumberProps) {
  const words = text().client
  const isAmount = KINDS[path] === 'amount'
  const given = valueAt(form.plan, path)
  const inherited = typeof given === 'number' ? (isAmount ? cost(given) : exact(given)) : null
  const empty = usual === undefined ? words.without[form.of] : words.usually(exact(usual))
  const wrong = isAmount ? text().clients.amountWrong : text().clients.countWrong
  return (
    <TextField
      label={label}
      value={form.draft[path]}
      placeholder={inherited === null ? empty : words.fromPlan(inherited)}
      inputMode={isAmount ? 'decimal' : 'text'}
      error={form.wrong.includes(path) ? wrong : null}
      isReadOnly={form.isReadOnly}
      onChange={(value) => form.set(path, value)}
    />
  )
}

export function LineInput(props: {
  form: Form
  path: Path
  label: string
  hint?: string | undefined
}) {
  const { form, path, label, hint } = props
  return (
    <TextField
      label={label}
      hint={hint}
      value={form.draft[path]}
      placeholder={placeholderOf(form, path)}
      error={form.wrong.includes(path) ? text().client.integerWrong : null}
      isReadOnly={form.isReadOnly}
      onChange={(value) => form.set(path, value)}
    />
  )
}

/** `empty`: what no entry means. */
export function ListInput(props: {
  form: Form
  path: Path
  label: string
  hint: string
  empty: string
}) {
  const { form, path, label, hint, empty } = props
  return (
    <AreaField
      label={label}
      hint={hint}
      rows={3}
      value={form.draft[path]}
      placeholder={placeholderOf(form, path) ?? empty}
      isReadOnly={form.isReadOnly}
      onChange={(value) => form.set(path, value)}
    />
  )
}

/** Yes, no, or as the plan says. */
export function FlagInput(props: { form: Form; path: Path; label: string; hint: string }) {
  const { form, path, label, hint } = props
  const words = text().client
  const given = valueAt(form.plan, path) === true ? words.yes : words.no
  return (
    <SelectField
      label={label}
      hint={hint}
      value={form.draft[path]}
      options={[
        ['', form.plan ? words.asPlan(given) : words.asUsual(words.no)],
        ['true', words.yes],
        ['false', words.no],
      ]}
      isReadOnly={form.isReadOnly}
      onChange={(value) => form.set(path, value)}
    />
  )
}

function placeholderOf(form: Form, path: Path): string | undefined {
  const given = textOf(valueAt(form.plan, path)).replaceAll('\n', ', ')
  return given === '' ? undefined : text().client.fromPlan(given)
}
