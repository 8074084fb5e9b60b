import { useState } from 'preact/hooks'
import { patchClient, removeClient } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import type { ClientDetail } from '../../api/types.ts'
import { whyNotWrite } from '../../permission.ts'
import { go } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { say } from '../../ui/toast.tsx'

type Props = { found: Fetched<ClientDetail>; onDone(): void }

/** Disables a client after asking, and enables it without. */
export function DisableButton({ found, onDone }: Props) {
  const words = text().client
  const [isOpen, setOpen] = useState(false)
  const { name, disabled } = found.body
  const set = async (isDisabled: boolean) => {
    await patchClient(name, found.etag, { disabled: isDisabled ? true : null })
    say(isDisabled ? words.disabled(name) : words.enabled(name))
    onDone()
  }
  return (
    <>
      <Button whyNot={whyNotWrite.value} onClick={() => setOpen(true)}>
        {disabled ? words.enable : words.disable}
      </Button>
      {isOpen ? (
        <Confirm
          title={disabled ? words.enableTitle(name) : words.disableTitle(name)}
          action={disabled ? words.enable : words.disable}
          isDangerous={!disabled}
          onConfirm={() => set(!disabled)}
          onClose={() => setOpen(false)}
        >
          <p>{disabled ? words.enableEffect : words.disableEffect}</p>
        </Confirm>
      ) : null}
    </>
  )
}

export function RemoveButton({ found }: { found: Fetched<ClientDetail> }) {
  const words = text().client
  const [isOpen, setOpen] = useState(false)
  const { name, keys } = found.body
  const remove = async () => {
    await removeClient(name, found.etag)
    say(words.removed(name))
    go(['clients'])
  }
  return (
    <>
      <Button kind="danger" icon="trash" whyNot={whyNotWrite.value} onClick={() => setOpen(true)}>
        {words.remove}
      </Button>
      {isOpen ? (
        <Confirm
          title={words.removeAsk(name)}
          action={words.remove}
          onConfirm={remove}
          onClose={() => setOpen(false)}
        >
          <p>{words.removeEffect(keys.length)}</p>
        </Confirm>
      ) : null}
    </>
  )
}
