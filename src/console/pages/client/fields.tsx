import type { ComponentChildren } from 'preact'
import type { Scope } from '../../../core/shapes.ts'
import { text } from '../../text/text.ts'
import { SelectField } from '../../ui/field.tsx'
import { FlagInput, type Form, LineInput, ListInput, NumberInput } from './inputs.tsx'
import { ScopesInput } from './scopes.tsx'

type Props = { form: Form; plans: string[]; scopes: Scope[] }

const BUDGETS = ['costPerMonth', 'tokensPerMonth', 'costPerDay', 'tokensPerDay'] as const
const LIMITS = [
  'requestsPerMinute',
  'tokensPerMinute',
  'inputTokensPerMinute',
  'outputTokensPerMinute',
  'concurrency',
] as const
const CEILINGS = ['n', 'bestOf', 'topLogprobs', 'promptLogprobs', 'inputs'] as const

/** All fields, what is changed most often first. */
export function SettingsFields({ form, plans, scopes }: Props) {
  const words = text().client
  const { budgets, limits } = text().names
  const known = form.draft.plan === '' || plans.includes(form.draft.plan)
  const choices = known ? plans : [form.draft.plan, ...plans]
  return (
    <>
      <Group title={words.budgets} hint={words.budgetsHint}>
        {BUDGETS.map((name) => (
          <NumberInput key={name} form={form} path={`budgets.${name}`} label={budgets[name]} />
        ))}
        <FlagInput form={form} path="budgets.hard" label={words.hard} hint={words.hardHint} />
      </Group>
      <Group title={words.limits} hint={words.limitsHint}>
        {LIMITS.map((name) => (
          <NumberInput key={name} form={form} path={`limits.${name}`} label={limits[name]} />
        ))}
      </Group>
      <Group title={words.who}>
        <SelectField
          label={words.plan}
          hint={words.planHint}
          value={form.draft.plan}
          options={[['', text().clients.noPlan], ...choices.map(pair)]}
          isReadOnly={form.isReadOnly}
          onChange={(value) => form.set('plan', value)}
        />
        <LineInput form={form} path="group" label={words.group} hint={words.groupHint} />
        <LineInput form={form} path="note" label={words.note} />
      </Group>
      <Group title={words.access}>
        <ListInput form={form} path="models" label={words.models} hint={words.modelsHint} />
        <ListInput
          form={form}
          path="addresses"
          label={words.addresses}
          hint={words.addressesHint}
        />
        <ScopesInput form={form} effective={scopes} />
      </Group>
      <details class="more">
        <summary>{words.advanced}</summary>
        <Group title={words.request} hint={words.requestHint}>
          <NumberInput form={form} path="request.maxOutputTokens" label={words.maxOutput} />
          <NumberInput form={form} path="request.maxInputTokens" label={words.maxInput} />
          {CEILINGS.map((name) => (
            <NumberInput
              key={name}
              form={form}
              path={`request.${name}`}
              label={words.ceilings[name]}
            />
          ))}
          <SelectField
            label={words.excess}
            value={form.draft['request.excess']}
            options={[
              ['', words.asUsual(words.clamp)],
              ['clamp', words.clamp],
              ['refuse', words.refuse],
            ]}
            isReadOnly={form.isReadOnly}
            onChange={(value) => form.set('request.excess', value)}
          />
          <ListInput form={form} path="request.allow" label={words.allow} hint={words.allowHint} />
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

function Group(props: { title: string; hint?: string; children: ComponentChildren }) {
  return (
    <fieldset class="group">
      <legend>{props.title}</legend>
      {props.hint ? <p class="field-hint">{props.hint}</p> : null}
      <div class="group-fields">{props.children}</div>
    </fieldset>
  )
}

function pair(name: string): [string, string] {
  return [name, name]
}
