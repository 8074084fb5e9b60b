import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { text } from '../text/text.ts'
import { Button } from './button.tsx'

type Props = {
  title: string
  children: ComponentChildren
  onClose(): void
  /** Whether a slip of a finger may close it: not while a secret is shown. */
  isGuarded?: boolean
  isWide?: boolean
}

const FOCUSABLE =
  'a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex="-1"])'

/**
 * A modal dialog. The browser's own element makes the page behind it inert; what it does not do is keep
 * the tabulator inside, and give the focus back where the opener was drawn anew meanwhile.
 */
export function Dialog({ title, children, onClose, isGuarded = false, isWide = false }: Props) {
  const element = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    const opener = document.activeElement
    const dialog = element.current
    if (dialog && !dialog.open) dialog.showModal()
    const first = dialog?.querySelector<HTMLElement>('[data-autofocus]')
    first?.focus()
    return () => {
      dialog?.close()
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
      else document.querySelector<HTMLElement>('main h1')?.focus()
    }
  }, [])
  return (
    // Escape is the key for the click beside it.
    <dialog
      ref={element}
      class={isWide ? 'dialog dialog-wide' : 'dialog'}
      aria-labelledby={heading}
      onKeyDown={(event) => element.current && keepInside(event, element.current)}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => {
        if (event.target === element.current && !isGuarded) onClose()
      }}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={heading}>{title}</h2>
          <Button kind="quiet" icon="cross" label={text().common.close} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  )
}

function keepInside(event: KeyboardEvent, dialog: HTMLElement): void {
  if (event.key !== 'Tab') return
  const inside = [...dialog.querySelectorAll<HTMLElement>(FOCUSABLE)].filter(
    (one) => one.offsetParent !== null && !one.matches(':disabled'),
  )
  const [first, last] = [inside[0], inside[inside.length - 1]]
  const [edge, other] = event.shiftKey ? [first, last] : [last, first]
  if (document.activeElement !== edge) return
  event.preventDefault()
  other?.focus()
}
