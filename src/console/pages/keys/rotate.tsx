import { useState } from 'preact/hooks'
import { revokeKey, rotateKeys } from '../../api/calls.ts'
import { text } from '../../text/text.ts'
import { Confirm } from '../../ui/confirm.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { FormDialog } from '../../ui/formdialog.tsx'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'
import { say } from '../../ui/toast.tsx'
import { useMaking } from './making.ts'
import { Secret } from './secret.tsx'
import type { OwnedKey } from './table.tsx'

const HOUR_SECONDS = 3600
const DAY_SECONDS = 86_400

type RotateProps = {
  client: string
  model?: string | undefined
  /** Whether an old key has limits or budgets of its own: the new one gets the same. */
  hasOwn: boolean
  onDone(): void
  onClose(): void
}

/** A new key now, and an end for the old ones. */
export function RotateKeys({ client, model, hasOwn, onDone, onClose }: RotateProps) {
  const words = text().keys
  const [grace, setGrace] = useState(String(DAY_SECONDS))
  const [note, setNote] = useState('')
  const make = () => {
    const fields = note.trim() ? { note: note.trim() } : {}
    return rotateKeys(client, { graceSeconds: Number(grace), ...fields })
  }
  const { made, problem, isBusy, closing, submit } = useMaking(make, onDone, onClose)
  if (made) {
    return (
      <Dialog key="made" title={words.rotatedTitle} isGuarded isWide onClose={closing.close}>
        <Secret made={made} model={model} closing={closing} />
      </Dialog>
    )
  }
  return (
    <FormDialog
      key="form"
      title={words.rotateTitle(client)}
      action={words.rotate}
      isBusy={isBusy}
      onSubmit={submit}
      onClose={onClose}
    >
      <p>{words.rotateHint}</p>
      {hasOwn ? <Notice tone="info" title={words.rotateOwn} /> : null}
      <SelectField
        label={words.grace}
        hint={words.graceHint}
        value={grace}
        options={[
          ['0', words.atOnce],
          [String(HOUR_SECONDS), words.hours(1)],
          [String(DAY_SECONDS), words.hours(24)],
          [String(7 * DAY_SECONDS), words.days(7)],
        ]}
        onChange={setGrace}
      />
      <TextField label={words.note} hint={words.noteHint} value={note} isFirst onChange={setNote} />
      {problem ? <ProblemNotice problem={problem} /> : null}
    </FormDialog>
  )
}

type RevokeProps = { row: OwnedKey; onDone(): void; onClose(): void }

export function RevokeKey({ row, onDone, onClose }: RevokeProps) {
  const words = text().keys
  const { id } = row.key
  return (
    <Confirm
      title={words.revokeTitle(id)}
      action={words.revoke}
      onClose={onClose}
      onConfirm={async () => {
        await revokeKey(id)
        say(words.revoked(id))
        onDone()
      }}
    >
      <p>{words.revokeAsk(row.client)}</p>
      <p class="muted">{words.revokeEffect}</p>
    </Confirm>
  )
}
