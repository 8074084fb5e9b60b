import { useEffect, useRef, useState } from 'preact/hooks'
import type { MergePatch } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import { type Change, changesOf } from '../../changes.ts'
import {
  changedPaths,
  type Draft,
  draftOf,
  type Path,
  patchOf,
  rebase,
  wrongPaths,
} from './draft.ts'

/** A client or a plan that is being edited: what the form shows, and what it can do. */
export type Edit<Body> = {
  base: Body
  draft: Draft
  changed: Path[]
  wrong: Path[]
  problem: ApiProblem | null
  /** What another has changed meanwhile; null when nobody has. */
  theirs: Change[] | null
  isBusy: boolean
  set(path: Path, value: string): void
  save(): Promise<void>
  discard(): void
}

/** How it is read and written. */
export type Access<Body> = {
  read(): Promise<Fetched<Body>>
  write(patch: MergePatch, base: Fetched<Body>): Promise<void>
  /** What of it another can change: not what only follows from that. */
  fieldsOf(body: Body): object
  onSaved(): void
}

/**
 * The fields of a client or plan. They stay as they are typed when somebody else changes it meanwhile:
 * the API refuses the older version (412), this tells what has changed, and saving again goes on top.
 */
export function useEdit<Body extends object>(
  found: Fetched<Body>,
  access: Access<Body>,
): Edit<Body> {
  const [base, setBase] = useState(found)
  const [draft, setDraft] = useState(draftOf(found.body))
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [theirs, setTheirs] = useState<Change[] | null>(null)
  const [isBusy, setBusy] = useState(false)
  const baseDraft = draftOf(base.body)
  const changed = changedPaths(baseDraft, draft)
  const wrong = wrongPaths(draft)

  const moveTo = (now: Fetched<Body>) => {
    setDraft((typed) => rebase(baseDraft, typed, draftOf(now.body)))
    setBase(now)
  }
  const seen = useRef(found)
  useEffect(() => {
    if (found === seen.current) return
    seen.current = found
    moveTo(found)
  })
  const meet = async () => {
    const now = await access.read()
    setTheirs(changesOf(access.fieldsOf(base.body), access.fieldsOf(now.body)))
    moveTo(now)
  }
  const save = async () => {
    if (wrong.length > 0 || changed.length === 0) return
    setBusy(true)
    setProblem(null)
    setTheirs(null)
    try {
      await access.write(patchOf(baseDraft, draft), base)
      access.onSaved()
    } catch (error) {
      const thrown = asProblem(error)
      if (thrown.status !== 412) setProblem(thrown)
      else await meet().catch((other) => setProblem(asProblem(other)))
    }
    setBusy(false)
  }
  const set = (path: Path, value: string) => setDraft({ ...draft, [path]: value })
  const discard = () => setDraft(baseDraft)
  return { base: base.body, draft, changed, wrong, problem, theirs, isBusy, set, save, discard }
}
