import { useState } from 'preact/hooks'
import { createKey, type NewKeyFields } from '../../api/calls.ts'
import { text } from '../../text/text.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { FormDialog } from '../../ui/formdialog.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { type Draft, draftOf, patchOf, wrongPaths } from '../grant/draft.ts'
import { BudgetInputs, LimitInputs } from '../grant/fields.tsx'
import type { Form } from '../grant/inputs.tsx'
import { useMaking } from './making.ts'
import { Secret } from './secret.tsx'

const DAY_MS = 86_400_000

type Props = {
  /** Whose key; where there is a choice, of these. */
  clients: string[]
  model?: string | undefined
  onDone(): void
  onClose(): void
}

/** Makes a key, and shows it in the same dialog: once. */
export function CreateKey({ clients, model, onDone, onClose }: Props) {
  const words = text().keys
  const [client, setClient] = useState(clients[0] ?? '')
  const [days, setDays] = useState('')
  const [note, setNote] = useState('')
  const [draft, setDraft] = useState(draftOf())
  const make = () => createKey(client, fieldsOf(days, note, draft))
  const { made, problem, isBusy, closing, submit } = useMaking(make, onDone, onClose)
  if (made) {
    return (
      <Dialog key="made" title={words.madeTitle} isGuarded isWide onClose={closing.close}>
        <Secret made={made} model={model} closing={closing} />
      </Dialog>
    )
  }
  return (
    <FormDialog
      key="form"
      title={words.createTitle}
      action={words.make}
      isBusy={isBusy}
      whyNot={wrongPaths(draft).length > 0 ? text().client.fixFirst : null}
      onSubmit={submit}
      onClose={onClose}
    >
      {clients.length === 1 ? (
        <p>{words.forClient(client)}</p>
      ) : (
        <SelectField
          label={words.client}
          value={client}
          options={clients.map((name) => [name, name])}
          onChange={setClient}
        />
      )}
      <TextField label={words.note} hint={words.noteHint} value={note} isFirst onChange={setNote} />
      <SelectField
        label={words.expires}
        value={days}
        options={[
          ['', words.never],
          ['30', words.days(30)],
          ['90', words.days(90)],
          ['365', words.days(365)],
        ]}
        onChange={setDays}
      />
      <OwnCeilings draft={draft} onChange={setDraft} />
      {problem ? <ProblemNotice problem={problem} /> : null}
    </FormDialog>
  )
}

/** Folded away: most keys have those of their client alone. */
function OwnCeilings({ draft, onChange }: { draft: Draft; onChange(draft: Draft): void }) {
  const words = text().keys
  const form: Form = {
    of: 'key',
    draft,
    plan: undefined,
    wrong: wrongPaths(draft),
    isReadOnly: false,
    set: (path, value) => onChange({ ...draft, [path]: value }),
  }
  return (
    <details class="more">
      <summary>{words.own}</summary>
      <p class="field-hint">{words.ownHint}</p>
      <BudgetInputs form={form} hint={words.ownBudgetsHint} />
      <LimitInputs form={form} hint={text().client.hints.client.limits} />
    </details>
  )
}

function fieldsOf(days: string, note: string, draft: Draft): NewKeyFields {
  const expires = new Date(Date.now() + Number(days) * DAY_MS).toISOString()
  return {
    ...(days ? { expires: `${expires.slice(0, 19)}Z` } : {}),
    ...(note.trim() ? { note: note.trim() } : {}),
    ...patchOf(draftOf(), draft),
  }
}
