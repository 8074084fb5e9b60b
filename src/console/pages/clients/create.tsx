import { useState } from 'preact/hooks'
import type { Budgets } from '../../../core/config/shapes.ts'
import { type Amount, readAmount } from '../../amount.ts'
import { createClient, getPolicy } from '../../api/calls.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { ClientFields } from '../../api/types.ts'
import { useLoad } from '../../load.ts'
import { go } from '../../route.ts'
import { text } from '../../text/text.ts'
import { SelectField, TextField } from '../../ui/field.tsx'
import { FormDialog } from '../../ui/formdialog.tsx'
import { Notice } from '../../ui/notice.tsx'
import { say } from '../../ui/toast.tsx'
import { CreateProblem, mistakeIn } from '../grant/name.tsx'

type Form = { name: string; plan: string; cost: string; tokens: string; note: string }

/** The few fields that a new client needs; all others are on its page. */
export function CreateClient({ onClose }: { onClose(): void }) {
  const words = text().clients
  const [form, setForm] = useState<Form>({ name: '', plan: '', cost: '', tokens: '', note: '' })
  const [isTried, setTried] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const policy = useLoad('policy', (signal) => getPolicy(signal)).data?.body
  const set = (field: keyof Form) => (value: string) => setForm({ ...form, [field]: value })
  const errors = check(form)
  const submit = async () => {
    setTried(true)
    if (Object.values(errors).some((error) => error !== null)) return
    setBusy(true)
    setProblem(null)
    try {
      await createClient(form.name, fieldsOf(form))
      say(words.created(form.name))
      onClose()
      go(['clients', form.name])
    } catch (error) {
      setProblem(asProblem(error))
      setBusy(false)
    }
  }
  const told = (error: string | null) => (isTried ? error : null)
  const hasCost = form.cost !== ''
  const hasPrices = Object.keys((policy?.['prices'] as object | undefined) ?? {}).length > 0
  return (
    <FormDialog
      title={words.createTitle}
      action={words.create}
      isBusy={isBusy}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label={words.name}
        hint={words.nameHint}
        value={form.name}
        error={told(errors.name)}
        isRequired
        isFirst
        onChange={set('name')}
      />
      <SelectField
        label={words.plan}
        hint={words.planHint}
        value={form.plan}
        options={[
          ['', words.noPlan],
          ...Object.keys(policy?.plans ?? {}).map((name): [string, string] => [name, name]),
        ]}
        onChange={set('plan')}
      />
      <div class="field-row">
        <TextField
          label={text().names.budgets.costPerMonth}
          value={form.cost}
          error={told(errors.cost)}
          placeholder={words.unlimitedShort}
          inputMode="decimal"
          onChange={set('cost')}
        />
        <TextField
          label={text().names.budgets.tokensPerMonth}
          value={form.tokens}
          error={told(errors.tokens)}
          placeholder={words.unlimitedShort}
          inputMode="text"
          onChange={set('tokens')}
        />
      </div>
      <p class="field-hint">{words.budgetHint}</p>
      {hasCost && policy && !hasPrices ? (
        <Notice tone="warning" title={words.noPrices}>
          <p>{words.noPricesFix}</p>
        </Notice>
      ) : null}
      <TextField
        label={words.note}
        hint={words.noteHint}
        value={form.note}
        onChange={set('note')}
      />
      {problem ? <CreateProblem problem={problem} taken={words.taken(form.name)} /> : null}
    </FormDialog>
  )
}

type Errors = { name: string | null; cost: string | null; tokens: string | null }

function check({ name, cost, tokens }: Form): Errors {
  const words = text().clients
  return {
    name: mistakeIn(name, words.nameMissing),
    cost: 'isWrong' in readAmount(cost, false) ? words.amountWrong : null,
    tokens: 'isWrong' in readAmount(tokens, true) ? words.countWrong : null,
  }
}

function fieldsOf(form: Form): ClientFields {
  const budgets: Budgets = {}
  const [cost, tokens] = [readAmount(form.cost, false), readAmount(form.tokens, true)]
  if (hasValue(cost)) budgets.costPerMonth = cost.value
  if (hasValue(tokens)) budgets.tokensPerMonth = tokens.value
  return {
    ...(form.plan ? { plan: form.plan } : {}),
    ...(form.note.trim() ? { note: form.note.trim() } : {}),
    ...(Object.keys(budgets).length > 0 ? { budgets } : {}),
  }
}

function hasValue(amount: Amount): amount is { value: number } {
  return 'value' in amount
}
