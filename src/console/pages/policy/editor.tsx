import type { RefObject } from 'preact'
import { useId, useRef } from 'preact/hooks'

type Props = {
  label: string
  value: string
  isReadOnly: boolean
  /** Lines with a problem, from 1. */
  marked: number[]
  area: RefObject<HTMLTextAreaElement | null>
  onChange(value: string): void
}

/** A text of many lines with their numbers. The tabulator leaves it, as it leaves every field. */
export function Editor({ label, value, isReadOnly, marked, area, onChange }: Props) {
  const id = useId()
  const gutter = useRef<HTMLDivElement>(null)
  const lines = value.split('\n').length
  return (
    <div class="editor">
      <label class="visually-hidden" for={id}>
        {label}
      </label>
      <div class="editor-gutter" ref={gutter} aria-hidden="true">
        {Array.from({ length: lines }, (_, i) => (
          <span key={i} class={marked.includes(i + 1) ? 'is-marked' : undefined}>
            {i + 1}
          </span>
        ))}
      </div>
      <textarea
        id={id}
        ref={area}
        class="editor-text mono"
        wrap="off"
        rows={Math.min(24, Math.max(12, lines + 1))}
        value={value}
        readOnly={isReadOnly}
        spellcheck={false}
        autocapitalize="off"
        onInput={(event) => onChange(event.currentTarget.value)}
        onScroll={(event) => {
          if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop
        }}
      />
    </div>
  )
}

/** Selects a stretch, and brings it into sight. */
export function select(area: HTMLTextAreaElement, start: number, end: number): void {
  area.focus()
  area.setSelectionRange(start, end)
  const lines = area.value.split('\n').length
  const line = area.value.slice(0, start).split('\n').length
  area.scrollTop = Math.max(0, (area.scrollHeight / lines) * (line - 4))
}
