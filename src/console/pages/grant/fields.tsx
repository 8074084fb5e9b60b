import type { ComponentChildren } from 'preact'
import type { Scope } from '../../../core/config/shapes.ts'
import { BUDGETS, LIMITS } from '../../../core/limits/table.ts'
import { text } from '../../text/text.ts'
import { SelectField } from '../../ui/field.tsx'
import { valueAt } from './draft.ts'
import { FlagInput, type Form, LineInput, ListInput, NumberInput } from './inputs.tsx'
import { ScopesInput } from './scopes.tsx'

type Props = {
  form: Form
  /** What holds where nothing is said. */
  scopes: Scope[]
  children: ComponentChildren
}

/** What is changed most often first. */
const budgets = (['month', 'day'] as const).flatMap((period) =>
  BUDGETS.filter(({ per }) => per === period)
    .map(({ name }) => name)
    .reverse(),
)
/** With what holds where nothing is said: core/body/body.ts. */
const CEILINGS = [
  ['n', 16],
  ['bestOf', 16],
  ['topLogprobs', 20],
  ['promptLogprobs', 5],
  ['inputs', 2048],
] as const

/** All fields of a grant, what is changed most often first; between them those that are not of every one. */
export function GrantFields({ form, scopes, children }: Props) {
  const words = text().client
  const hints = words.hints[form.of === 'plan' ? 'plan' : 'client']
  return (
    <>
      <BudgetInputs form={form} hint={hints.budgets} />
      <LimitInputs form={form} hint={hints.limits} />
      <Group title={form.of === 'plan' ? words.aboutPlan : words.who}>{children}</Group>
      <Group title={words.access}>
        <ListInput
          form={form}
          path="models"
          label={words.models}
          hint={words.modelsHint}
          empty={words.anything}
        />
        <ListInput
          form={form}
          path="addresses"
          label={words.addresses}
          hint={words.addressesHint}
          empty={words.anything}
        />
        <ScopesInput form={form} effective={scopes} />
      </Group>
      <details class="more">
        <summary>{words.advanced}</summary>
        <Group title={words.request} hint={hints.request}>
          <NumberInput form={form} path="request.maxOutputTokens" label={words.maxOutput} />
          <NumberInput form={form} path="request.maxInputTokens" label={words.maxInput} />
          {CEILINGS.map(([name, usual]) => (
            <NumberInput
              key={name}
              form={form}
              path={`request.${name}`}
              label={words.ceilings[name]}
              usual={usual}
            />
          ))}
          <ExcessInput form={form} />
          <ListInput
            form={form}
            path="request.allow"
            label={words.allow}
            hint={words.allowHint}
            empty={text().common.none}
          />
        </Group>
        <Group title={words.engine}>
          <LineInput form={form} path="priority" label={words.priority} hint={words.priorityHint} />
          <FlagInput form={form} path="cacheSalt" label={words.salt} hint={words.saltHint} />
          <FlagInput form={form} path="shadow" label={words.shadow} hint={words.shadowHint} />
        </Group>
      </details>
    </>
  )
}

export function BudgetInputs({ form, hint }: { form: Form; hint: string }) {
  const words = text().client
  const names = text().names.budgets
  return (
    <Group title={words.budgets} hint={hint}>
      {budgets.map((name) => (
        <NumberInput key={name} form={form} path={`budgets.${name}`} label={names[name]} />
      ))}
      <FlagInput form={form} path="budgets.hard" label={words.hard} hint={words.hardHint} />
    </Group>
  )
}

export function LimitInputs({ form, hint }: { form: Form; hint: string }) {
  const names = text().names.limits
  return (
    <Group title={text().client.limits} hint={hint}>
      {LIMITS.map(({ name }) => (
        <NumberInput key={name} form={form} path={`limits.${name}`} label={names[name]} />
      ))}
    </Group>
  )
}

function ExcessInput({ form }: { form: Form }) {
  const words = text().client
  const given = valueAt(form.plan, 'request.excess')
  const { clamp, refuse } = words
  return (
    <SelectField
      label={words.excess}
      value={form.draft['request.excess']}
      options={[
        ['', given ? words.asPlan(given === 'refuse' ? refuse : clamp) : words.asUsual(clamp)],
        ['clamp', clamp],
        ['refuse', refuse],
      ]}
      isReadOnly={form.isReadOnly}
      onChange={(value) => form.set('request.excess', value)}
    />
  )
}

function Group(props: { title: string; hint?: string; children: ComponentChildren }) {
  return (
    <fieldset class="group">
      <legend>{props.title}</legend>
      {props.hint ? <p class="field-hint">{props.hint}</p> : null}
      <div class="group-fields">{props.children}</div>
    </fieldset>
  )
}
