import { useRef } from 'preact/hooks'
import type { Problem } from '../../../core/config/shapes.ts'
import type { Fetched } from '../../api/http.ts'
import type { PolicyDocument } from '../../api/types.ts'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ChangeList } from '../../ui/changes.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { type Edit, useEdit } from './edit.ts'
import { Editor, select } from './editor.tsx'
import { lineOf, locate } from './locate.ts'

export function PolicyForm({ found }: { found: Fetched<PolicyDocument> }) {
  const words = text().policy
  const area = useRef<HTMLTextAreaElement>(null)
  const edit = useEdit(found)
  const problems = Array.isArray(edit.verdict) ? edit.verdict : []
  const jump = ({ path }: Problem) => {
    const place = locate(edit.typed, path)
    if (area.current && place) select(area.current, place.start, place.end)
  }
  return (
    <form
      class="policy"
      onSubmit={(event) => {
        event.preventDefault()
        void edit.save()
      }}
    >
      {whyNotWrite.value ? <Notice tone="info" title={whyNotWrite.value} /> : null}
      <Editor
        label={words.document}
        value={edit.typed}
        isReadOnly={whyNotWrite.value !== null}
        marked={markedLines(edit.typed, problems)}
        area={area}
        onChange={edit.change}
      />
      <Actions edit={edit} />
      <div class="stack" aria-live="polite">
        {edit.verdict === 'good' ? <Notice tone="good" title={words.good} /> : null}
        {problems.length > 0 ? (
          <Problems problems={problems} typed={edit.typed} onJump={jump} />
        ) : null}
        {edit.theirs ? (
          <Notice tone="warning" title={words.conflict}>
            <p>{words.conflictHint}</p>
            <ChangeList changes={edit.theirs} />
          </Notice>
        ) : null}
        {edit.problem ? <ProblemNotice problem={edit.problem} /> : null}
      </div>
      {edit.changed.length > 0 ? (
        <section class="policy-changes" aria-label={words.changes}>
          <h2>{words.changes}</h2>
          <ChangeList changes={edit.changed} />
        </section>
      ) : null}
    </form>
  )
}

function Actions({ edit }: { edit: Edit }) {
  const { noChange, saveOver, discard } = text().client
  return (
    <footer class="form-foot">
      <Button
        kind="primary"
        type="submit"
        isBusy={edit.busy === 'save'}
        whyNot={whyNotWrite.value ?? (edit.isChanged ? null : noChange)}
      >
        {edit.theirs ? saveOver : text().common.save}
      </Button>
      <Button icon="check" isBusy={edit.busy === 'validate'} onClick={edit.validate}>
        {text().policy.validate}
      </Button>
      {edit.isChanged ? (
        <Button kind="quiet" onClick={edit.discard}>
          {discard}
        </Button>
      ) : null}
    </footer>
  )
}

type ProblemsProps = { problems: Problem[]; typed: string; onJump(problem: Problem): void }

function Problems({ problems, typed, onJump }: ProblemsProps) {
  const words = text().policy
  return (
    <Notice tone="error" title={words.bad(problems.length)}>
      <ul class="problem-list">
        {problems.map((problem) => {
          const place = problem.path === '' ? null : locate(typed, problem.path)
          return (
            <li key={`${problem.path} ${problem.message}`}>
              {place ? (
                <button type="button" class="link" onClick={() => onJump(problem)}>
                  {words.line(lineOf(typed, place.start))}: <code>{problem.path}</code>
                </button>
              ) : problem.path ? (
                <code>{problem.path}</code>
              ) : null}{' '}
              {problem.message}
            </li>
          )
        })}
      </ul>
    </Notice>
  )
}

function markedLines(typed: string, problems: Problem[]): number[] {
  return problems.flatMap(({ path }) => {
    const place = path === '' ? null : locate(typed, path)
    return place ? [lineOf(typed, place.start)] : []
  })
}
