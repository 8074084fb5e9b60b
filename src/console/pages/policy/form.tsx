import { useEffect, useRef, useState } from 'preact/hooks'
import type { Problem } from '../../../core/shapes.ts'
import { getPolicy, putPolicy, validatePolicy } from '../../api/calls.ts'
import type { Answer } from '../../api/http.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { PolicyDocument } from '../../api/types.ts'
import { type Change, changesOf } from '../../changes.ts'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ChangeList } from '../../ui/changes.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { say } from '../../ui/toast.tsx'
import { Editor, select } from './editor.tsx'
import { lineOf, locate } from './locate.ts'

/** What is known of the text: not looked at since it was changed, good, or wrong here and there. */
type Verdict = 'unknown' | 'good' | Problem[]

/** policy.json as text: checked by the gate itself, saved only onto the version that was read. */
export function PolicyForm({ found }: { found: Answer<PolicyDocument> }) {
  const words = text().policy
  const area = useRef<HTMLTextAreaElement>(null)
  const [base, setBase] = useState(found)
  const [typed, setTyped] = useState(() => print(found.body))
  const [verdict, setVerdict] = useState<Verdict>('unknown')
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [theirs, setTheirs] = useState<Change[] | null>(null)
  const [busy, setBusy] = useState<'validate' | 'save' | null>(null)
  const isChanged = typed !== print(base.body)
  useUnloadWarning(isChanged)
  const change = (value: string) => {
    setTyped(value)
    setVerdict('unknown')
  }
  const attempt = async (what: 'validate' | 'save', act: (document: unknown) => Promise<void>) => {
    setProblem(null)
    const parsed = parse(typed)
    if ('message' in parsed) return setVerdict([{ path: '', message: parsed.message }])
    setBusy(what)
    try {
      await act(parsed.document)
    } catch (error) {
      const thrown = asProblem(error)
      if (thrown.status === 412) await takeTheirs()
      else if (thrown.status === 422) setVerdict(problemsOf(thrown))
      else setProblem(thrown)
    }
    setBusy(null)
  }
  const takeTheirs = async () => {
    try {
      const now = await getPolicy()
      setTheirs(changesOf(base.body, now.body))
      setBase(now)
    } catch (error) {
      setProblem(asProblem(error))
    }
  }
  const validate = () =>
    attempt('validate', async (document) => {
      const problems = await validatePolicy(document)
      setVerdict(problems.length === 0 ? 'good' : problems)
    })
  const save = () =>
    attempt('save', async (document) => {
      await putPolicy(document, base.etag)
      const now = await getPolicy()
      setBase(now)
      setTyped(print(now.body))
      setVerdict('unknown')
      setTheirs(null)
      say(words.saved)
    })
  const discard = () => {
    setTyped(print(base.body))
    setVerdict('unknown')
    setTheirs(null)
  }
  const jump = ({ path }: Problem) => {
    const place = locate(typed, path)
    if (area.current && place) select(area.current, place.start, place.end)
  }
  const problems = Array.isArray(verdict) ? verdict : []
  const changed = changedIn(base.body, typed)
  return (
    <form
      class="policy"
      onSubmit={(event) => {
        event.preventDefault()
        void save()
      }}
    >
      {whyNotWrite.value ? <Notice tone="info" title={whyNotWrite.value} /> : null}
      <Editor
        label={words.document}
        value={typed}
        isReadOnly={whyNotWrite.value !== null}
        marked={markedLines(typed, problems)}
        area={area}
        onChange={change}
      />
      <footer class="form-foot">
        <Button
          kind="primary"
          type="submit"
          isBusy={busy === 'save'}
          whyNot={whyNotWrite.value ?? (isChanged ? null : text().client.noChange)}
        >
          {theirs ? text().client.saveOver : text().common.save}
        </Button>
        <Button icon="check" isBusy={busy === 'validate'} onClick={validate}>
          {words.validate}
        </Button>
        {isChanged ? (
          <Button kind="quiet" onClick={discard}>
            {text().client.discard}
          </Button>
        ) : null}
      </footer>
      <div class="stack" aria-live="polite">
        {verdict === 'good' ? <Notice tone="good" title={words.good} /> : null}
        {problems.length > 0 ? <Problems problems={problems} typed={typed} onJump={jump} /> : null}
        {theirs ? (
          <Notice tone="warning" title={words.conflict}>
            <p>{words.conflictHint}</p>
            <ChangeList changes={theirs} />
          </Notice>
        ) : null}
        {problem ? <ProblemNotice problem={problem} /> : null}
      </div>
      {changed.length > 0 ? (
        <section class="policy-changes" aria-label={words.changes}>
          <h2>{words.changes}</h2>
          <ChangeList changes={changed} />
        </section>
      ) : null}
    </form>
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

function problemsOf(thrown: ApiProblem): Problem[] {
  if (thrown.problems.length > 0) return thrown.problems
  return [{ path: '', message: thrown.detail || thrown.title }]
}

function changedIn(base: PolicyDocument, typed: string): Change[] {
  const parsed = parse(typed)
  return 'document' in parsed ? changesOf(base, parsed.document) : []
}

function parse(typed: string): { document: unknown } | { message: string } {
  try {
    return { document: JSON.parse(typed) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const offset = Number(/position (\d+)/.exec(message)?.[1] ?? Number.NaN)
    const line = Number.isNaN(offset) ? '' : `${text().policy.line(lineOf(typed, offset))}: `
    return { message: `${line}${text().policy.notJson} (${message})` }
  }
}

function print(document: PolicyDocument): string {
  return `${JSON.stringify(document, null, 2)}\n`
}

function useUnloadWarning(isOn: boolean): void {
  useEffect(() => {
    if (!isOn) return
    const warn = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', warn)
    return () => removeEventListener('beforeunload', warn)
  }, [isOn])
}
