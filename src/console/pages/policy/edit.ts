import { useEffect, useState } from 'preact/hooks'
import type { Problem } from '../../../core/config/shapes.ts'
import { getPolicy, putPolicy, validatePolicy } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { PolicyDocument } from '../../api/types.ts'
import { type Change, changesOf } from '../../changes.ts'
import { text } from '../../text/text.ts'
import { say } from '../../ui/toast.tsx'
import { lineOf } from './locate.ts'

/** What is known of the text: not looked at since it was changed, good, or wrong here and there. */
export type Verdict = 'unknown' | 'good' | Problem[]

/** A policy that is being edited: what the page shows, and what it can do. */
export type Edit = {
  typed: string
  isChanged: boolean
  /** What was changed against the version that was read; empty where the text is no JSON. */
  changed: Change[]
  verdict: Verdict
  problem: ApiProblem | null
  /** What another has changed meanwhile; null when nobody has. */
  theirs: Change[] | null
  busy: 'validate' | 'save' | null
  change(value: string): void
  validate(): Promise<void>
  save(): Promise<void>
  discard(): void
}

/** policy.json as text: checked by the gate itself, saved only onto the version that was read. */
export function useEdit(found: Fetched<PolicyDocument>): Edit {
  const [base, setBase] = useState(found)
  const [typed, setTyped] = useState(() => print(found.body))
  const [verdict, setVerdict] = useState<Verdict>('unknown')
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [theirs, setTheirs] = useState<Change[] | null>(null)
  const [busy, setBusy] = useState<Edit['busy']>(null)
  const isChanged = typed !== print(base.body)
  useUnloadWarning(isChanged)

  const change = (value: string) => {
    setTyped(value)
    setVerdict('unknown')
  }
  const start = (from: Fetched<PolicyDocument>) => {
    setBase(from)
    change(print(from.body))
    setTheirs(null)
  }
  /** The text stays: what the other has changed is only told. */
  const meet = async () => {
    const now = await getPolicy()
    setTheirs(changesOf(base.body, now.body))
    setBase(now)
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
      if (thrown.status === 422) setVerdict(problemsOf(thrown))
      else if (thrown.status !== 412) setProblem(thrown)
      else await meet().catch((other) => setProblem(asProblem(other)))
    }
    setBusy(null)
  }
  const validate = () =>
    attempt('validate', async (document) => {
      const problems = await validatePolicy(document)
      setVerdict(problems.length === 0 ? 'good' : problems)
    })
  const save = () =>
    attempt('save', async (document) => {
      await putPolicy(document, base.etag)
      start(await getPolicy())
      say(text().policy.saved)
    })
  const discard = () => start(base)
  const changed = changedIn(base.body, typed)
  const shown = { typed, isChanged, changed, verdict, problem, theirs, busy }
  return { ...shown, change, validate, save, discard }
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
