import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Icon } from './icon.tsx'

const SHOWN_MS = 5000

const toasts = signal<{ id: number; message: string }[]>([])
let lastId = 0

/** Says that something was done, at the edge of the page and aloud. */
export function say(message: string): void {
  lastId++
  toasts.value = [...toasts.value.slice(-2), { id: lastId, message }]
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, message }) => (
        <Toast key={id} id={id} message={message} />
      ))}
    </div>
  )
}

function Toast({ id, message }: { id: number; message: string }) {
  useEffect(() => {
    const timer = setTimeout(() => {
      toasts.value = toasts.value.filter((toast) => toast.id !== id)
    }, SHOWN_MS)
    return () => clearTimeout(timer)
  }, [id])
  return (
    <div class="toast">
      <Icon name="check" />
      <span>{message}</span>
    </div>
  )
}
