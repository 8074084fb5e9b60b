import type { ComponentChildren } from 'preact'
import type { Change } from '../../changes.ts'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ChangeList } from '../../ui/changes.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import type { Edit } from './edit.ts'

type Props = {
  edit: Pick<
    Edit<object>,
    'changed' | 'wrong' | 'problem' | 'theirs' | 'isBusy' | 'save' | 'discard'
  >
  /** What is said when another has changed it meanwhile. */
  conflict: string
  children: ComponentChildren
}

/** The form around the fields of a client or a plan: what went wrong, and the buttons. */
export function EditForm({ edit, conflict, children }: Props) {
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        void edit.save()
      }}
    >
      {whyNotWrite.value ? <Notice tone="info" title={whyNotWrite.value} /> : null}
      {children}
      {edit.theirs ? <Conflict title={conflict} theirs={edit.theirs} /> : null}
      {edit.problem ? <ProblemNotice problem={edit.problem} /> : null}
      <Actions edit={edit} />
    </form>
  )
}

function Actions({ edit }: Pick<Props, 'edit'>) {
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

function Conflict({ title, theirs }: { title: string; theirs: Change[] }) {
  return (
    <Notice tone="warning" title={title}>
      <p>{text().client.conflictHint}</p>
      {theirs.length > 0 ? <ChangeList changes={theirs} /> : null}
    </Notice>
  )
}
