import { useState } from 'preact/hooks'
import { createPlan } from '../../api/calls.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import { go } from '../../route.ts'
import { text } from '../../text/text.ts'
import { TextField } from '../../ui/field.tsx'
import { FormDialog } from '../../ui/formdialog.tsx'
import { say } from '../../ui/toast.tsx'
import { draftOf, patchOf, wrongPaths } from '../grant/draft.ts'
import { type Form, LineInput, NumberInput } from '../grant/inputs.tsx'
import { CreateProblem, mistakeIn } from '../grant/name.tsx'

/** The few fields that most plans have; all others are on its page. */
export function CreatePlan({ onClose }: { onClose(): void }) {
  const words = text().plans
  const { limits, budgets } = text().names
  const [name, setName] = useState('')
  const [draft, setDraft] = useState(draftOf())
  const [isTried, setTried] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const wrong = wrongPaths(draft)
  const error = mistakeIn(name, words.nameMissing)
  const form: Form = {
    of: 'plan',
    draft,
    plan: undefined,
    wrong: isTried ? wrong : [],
    isReadOnly: false,
    set: (path, value) => setDraft({ ...draft, [path]: value }),
  }
  const submit = async () => {
    setTried(true)
    if (error !== null || wrong.length > 0) return
    setBusy(true)
    setProblem(null)
    try {
      await createPlan(name, patchOf(draftOf(), draft))
      say(words.created(name))
      onClose()
      go(['plans', name])
    } catch (thrown) {
      setProblem(asProblem(thrown))
      setBusy(false)
    }
  }
  return (
    <FormDialog
      title={words.createTitle}
      action={words.create}
      isBusy={isBusy}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label={text().clients.name}
        value={name}
        error={isTried ? error : null}
        isRequired
        isFirst
        onChange={setName}
      />
      <p class="field-hint">{words.createHint}</p>
      <div class="field-row">
        <NumberInput form={form} path="budgets.costPerMonth" label={budgets.costPerMonth} />
        <NumberInput form={form} path="budgets.tokensPerMonth" label={budgets.tokensPerMonth} />
      </div>
      <div class="field-row">
        <NumberInput form={form} path="limits.requestsPerMinute" label={limits.requestsPerMinute} />
        <NumberInput form={form} path="limits.concurrency" label={limits.concurrency} />
      </div>
      <LineInput form={form} path="note" label={text().clients.note} />
      {problem ? <CreateProblem problem={problem} taken={words.taken(name)} /> : null}
    </FormDialog>
  )
}
