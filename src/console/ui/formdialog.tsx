import type { ComponentChildren } from 'preact'
import { text } from '../text/text.ts'
import { Button } from './button.tsx'
import { Dialog } from './dialog.tsx'

type Props = {
  title: string
  /** What the button does, as a verb: `Create key`. */
  action: string
  isBusy: boolean
  /** Why the button cannot be used; null when it can. */
  whyNot?: string | null
  children: ComponentChildren
  onSubmit(): Promise<void>
  onClose(): void
}

/** A dialog that is filled in and sent. What is wrong with it is told by its fields, not by the browser. */
export function FormDialog(props: Props) {
  const { title, action, isBusy, whyNot = null, children, onSubmit, onClose } = props
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void onSubmit()
        }}
      >
        <div class="dialog-content">{children}</div>
        <footer class="dialog-foot">
          <Button onClick={onClose}>{text().common.cancel}</Button>
          <Button kind="primary" type="submit" isBusy={isBusy} whyNot={whyNot}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
