import { useEffect, useRef, useState } from 'preact/hooks'
import { getClient, patchClient } from '../../api/calls.ts'
import type { Answer } from '../../api/http.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { ClientDetail } from '../../api/types.ts'
import { type Change, changesOf } from '../../changes.ts'
import { text } from '../../text/text.ts'
import { say } from '../../ui/toast.tsx'
import {
  changedPaths,
  type Draft,
  draftOf,
  type Path,
  patchOf,
  rebase,
  wrongPaths,
} from './draft.ts'

/** A client that is being edited: what the form shows, and what it can do. */
export type Edit = {
  base: ClientDetail
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

/**
 * The fields of a client. They stay as they are typed when somebody else changes the client meanwhile:
 * the API refuses the older version (412), this tells what has changed, and saving again goes on top.
 */
export function useEdit(found: Answer<ClientDetail>, onSaved: () => void): Edit {
  const [base, setBase] = useState(found)
  const [draft, setDraft] = useState(draftOf(found.body))
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [theirs, setTheirs] = useState<Change[] | null>(null)
  const [isBusy, setBusy] = useState(false)
  const baseDraft = draftOf(base.body)
  const changed = changedPaths(baseDraft, draft)
  const wrong = wrongPaths(draft)

  const moveTo = (now: Answer<ClientDetail>) => {
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
    const now = await getClient(base.body.name)
    setTheirs(changesOf(fieldsOf(base.body), fieldsOf(now.body)))
    moveTo(now)
  }
  const save = async () => {
    if (wrong.length > 0 || changed.length === 0) return
    setBusy(true)
    setProblem(null)
    setTheirs(null)
    try {
      await patchClient(base.body.name, base.etag, patchOf(baseDraft, draft))
      say(text().client.saved(base.body.name))
      onSaved()
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

function fieldsOf({ effective: _, ...client }: ClientDetail): unknown {
  return client
}
