import { useEffect, useRef, useState } from 'preact/hooks'
import type { Grant } from '../../../core/shapes.ts'
import { getClient, listPlans, patchClient } from '../../api/calls.ts'
import type { Answer } from '../../api/http.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { ClientDetail } from '../../api/types.ts'
import { type Change, changesOf } from '../../changes.ts'
import { useLoad } from '../../load.ts'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ChangeList } from '../../ui/changes.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { Panel } from '../../ui/parts.tsx'
import { say } from '../../ui/toast.tsx'
import { changedPaths, draftOf, patchOf, rebase, wrongPaths } from './draft.ts'
import { SettingsFields } from './fields.tsx'

type Props = { found: Answer<ClientDetail>; onSaved(): void }

/**
 * The fields of a client. They stay as they are typed when somebody else changes the client meanwhile:
 * the API refuses the older version (412), this tells what has changed, and saving again goes on top.
 */
export function Settings({ found, onSaved }: Props) {
  const words = text().client
  const [base, setBase] = useState(found)
  const [draft, setDraft] = useState(draftOf(found.body))
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [theirs, setTheirs] = useState<Change[] | null>(null)
  const [isBusy, setBusy] = useState(false)
  const plans = useLoad<{ [name: string]: Grant }>('plans', listPlans).data ?? {}
  const baseDraft = draftOf(base.body)
  const changed = changedPaths(baseDraft, draft)
  const wrong = wrongPaths(draft)
  const seen = useRef(found)
  useEffect(() => {
    if (found === seen.current) return
    seen.current = found
    setDraft((typed) => rebase(draftOf(base.body), typed, draftOf(found.body)))
    setBase(found)
  })
  const takeTheirs = async () => {
    const now = await getClient(base.body.name)
    setTheirs(changesOf(fieldsOf(base.body), fieldsOf(now.body)))
    setDraft(rebase(baseDraft, draft, draftOf(now.body)))
    setBase(now)
  }
  const save = async () => {
    if (wrong.length > 0 || changed.length === 0) return
    setBusy(true)
    setProblem(null)
    setTheirs(null)
    try {
      await patchClient(base.body.name, base.etag, patchOf(baseDraft, draft))
      say(words.saved(base.body.name))
      onSaved()
    } catch (error) {
      const thrown = asProblem(error)
      if (thrown.status === 412) await takeTheirs().catch((e) => setProblem(asProblem(e)))
      else setProblem(thrown)
    }
    setBusy(false)
  }
  const form = {
    draft,
    plan: draft.plan === '' ? undefined : plans[draft.plan],
    wrong,
    isReadOnly: whyNotWrite.value !== null,
    set: (path: keyof typeof draft, value: string) => setDraft({ ...draft, [path]: value }),
  }
  return (
    <Panel title={words.settings}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
        {whyNotWrite.value ? <Notice tone="info" title={whyNotWrite.value} /> : null}
        <SettingsFields
          form={form}
          plans={Object.keys(plans)}
          scopes={base.body.effective.scopes ?? []}
        />
        {theirs ? <Conflict theirs={theirs} /> : null}
        {problem ? <ProblemNotice problem={problem} /> : null}
        <footer class="form-foot">
          <Button
            kind="primary"
            type="submit"
            isBusy={isBusy}
            whyNot={
              whyNotWrite.value ??
              (wrong.length > 0 ? words.fixFirst : changed.length === 0 ? words.noChange : null)
            }
          >
            {theirs ? words.saveOver : text().common.save}
          </Button>
          {changed.length > 0 ? (
            <>
              <Button kind="quiet" onClick={() => setDraft(baseDraft)}>
                {words.discard}
              </Button>
              <span class="muted">{words.changed(changed.length)}</span>
            </>
          ) : null}
        </footer>
      </form>
    </Panel>
  )
}

function Conflict({ theirs }: { theirs: Change[] }) {
  const words = text().client
  return (
    <Notice tone="warning" title={words.conflict}>
      <p>{words.conflictHint}</p>
      {theirs.length > 0 ? <ChangeList changes={theirs} /> : null}
    </Notice>
  )
}

function fieldsOf({ effective: _, ...client }: ClientDetail): unknown {
  return client
}
