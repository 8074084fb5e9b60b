import { useState } from 'preact/hooks'
import { NAME_PATTERN } from '../../../core/schema.ts'
import { createPlan } from '../../api/calls.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import { go } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { TextField } from '../../ui/field.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { say } from '../../ui/toast.tsx'
import { draftOf, patchOf, wrongPaths } from '../grant/draft.ts'
import { type Form, LineInput, NumberInput } from '../grant/inputs.tsx'

const NAME = new RegExp(NAME_PATTERN)

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
  const error = mistakeIn(name)
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
    <Dialog title={words.createTitle} onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        <div class="dialog-content">
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
            <NumberInput
              form={form}
              path="limits.requestsPerMinute"
              label={limits.requestsPerMinute}
            />
            <NumberInput form={form} path="limits.concurrency" label={limits.concurrency} />
          </div>
          <LineInput form={form} path="note" label={text().clients.note} />
          {problem ? <CreateProblem problem={problem} name={name} /> : null}
        </div>
        <footer class="dialog-foot">
          <Button onClick={onClose}>{text().common.cancel}</Button>
          <Button kind="primary" type="submit" isBusy={isBusy}>
            {words.create}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}

function CreateProblem({ problem, name }: { problem: ApiProblem; name: string }) {
  if (problem.status !== 412) return <ProblemNotice problem={problem} />
  return <Notice tone="error" title={text().plans.taken(name)} />
}

function mistakeIn(name: string): string | null {
  if (NAME.test(name)) return null
  return name === '' ? text().plans.nameMissing : text().clients.nameWrong
}
