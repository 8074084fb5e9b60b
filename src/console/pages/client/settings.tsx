import type { Grant } from '../../../core/shapes.ts'
import { listPlans } from '../../api/calls.ts'
import type { Answer } from '../../api/http.ts'
import type { ClientDetail } from '../../api/types.ts'
import type { Change } from '../../changes.ts'
import { useLoad } from '../../load.ts'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ChangeList } from '../../ui/changes.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { Panel } from '../../ui/parts.tsx'
import { type Edit, useEdit } from './edit.ts'
import { SettingsFields } from './fields.tsx'

type Props = { found: Answer<ClientDetail>; onSaved(): void }

export function Settings({ found, onSaved }: Props) {
  const edit = useEdit(found, onSaved)
  const plans = useLoad<{ [name: string]: Grant }>('plans', listPlans).data ?? {}
  const { draft, wrong, set } = edit
  const plan = draft.plan === '' ? undefined : plans[draft.plan]
  const form = { draft, plan, wrong, isReadOnly: whyNotWrite.value !== null, set }
  return (
    <Panel title={text().client.settings}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void edit.save()
        }}
      >
        {whyNotWrite.value ? <Notice tone="info" title={whyNotWrite.value} /> : null}
        <SettingsFields
          form={form}
          plans={Object.keys(plans)}
          scopes={edit.base.effective.scopes ?? []}
        />
        {edit.theirs ? <Conflict theirs={edit.theirs} /> : null}
        {edit.problem ? <ProblemNotice problem={edit.problem} /> : null}
        <Actions edit={edit} />
      </form>
    </Panel>
  )
}

function Actions({ edit }: { edit: Edit }) {
  const words = text().client
  const { changed, wrong } = edit
  const mistake = wrong.length > 0 ? words.fixFirst : changed.length === 0 ? words.noChange : null
  return (
    <footer class="form-foot">
      <Button
        kind="primary"
        type="submit"
        isBusy={edit.isBusy}
        whyNot={whyNotWrite.value ?? mistake}
      >
        {edit.theirs ? words.saveOver : text().common.save}
      </Button>
      {changed.length > 0 ? (
        <>
          <Button kind="quiet" onClick={edit.discard}>
            {words.discard}
          </Button>
          <span class="muted">{words.changed(changed.length)}</span>
        </>
      ) : null}
    </footer>
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
