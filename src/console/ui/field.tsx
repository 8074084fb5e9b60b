import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

type Frame = {
  label: string
  hint?: ComponentChildren
  error?: string | null | undefined
}

type TextProps = Frame & {
  value: string
  onChange(value: string): void
  placeholder?: string | undefined
  type?: 'text' | 'password' | 'search' | 'date'
  isRequired?: boolean
  /** Gets the focus when its dialog opens. */
  isFirst?: boolean
  isReadOnly?: boolean
  isMono?: boolean
  inputMode?: 'numeric' | 'decimal' | 'text'
  unit?: string
  min?: string
  max?: string
  autocomplete?: 'off' | 'current-password'
}

/** A field with its label above, and what is wrong with it below. */
export function TextField(props: TextProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <div class="field-line">
        <input
          id={id}
          class={props.isMono ? 'mono' : undefined}
          type={(props.type ?? 'text') as 'text'}
          value={props.value}
          placeholder={props.placeholder}
          required={props.isRequired}
          readOnly={props.isReadOnly}
          inputMode={props.inputMode}
          min={props.min}
          max={props.max}
          autocomplete={props.autocomplete ?? 'off'}
          spellcheck={false}
          autocapitalize="off"
          data-autofocus={props.isFirst ? '' : undefined}
          aria-invalid={props.error ? 'true' : undefined}
          aria-describedby={describedBy(id, props)}
          onInput={(event) => props.onChange(event.currentTarget.value)}
        />
        {props.unit ? <span class="field-unit">{props.unit}</span> : null}
      </div>
      <Foot id={id} {...props} />
    </div>
  )
}

type AreaProps = Frame & {
  value: string
  onChange(value: string): void
  rows?: number
  placeholder?: string | undefined
  isReadOnly?: boolean
}

export function AreaField(props: AreaProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <textarea
        id={id}
        rows={props.rows ?? 3}
        value={props.value}
        placeholder={props.placeholder}
        readOnly={props.isReadOnly}
        spellcheck={false}
        aria-invalid={props.error ? 'true' : undefined}
        aria-describedby={describedBy(id, props)}
        onInput={(event) => props.onChange(event.currentTarget.value)}
      />
      <Foot id={id} {...props} />
    </div>
  )
}

type SelectProps = Frame & {
  value: string
  options: [value: string, label: string][]
  onChange(value: string): void
  isReadOnly?: boolean
}

export function SelectField(props: SelectProps) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select
        id={id}
        value={props.value}
        disabled={props.isReadOnly}
        aria-describedby={describedBy(id, props)}
        onChange={(event) => props.onChange(event.currentTarget.value)}
      >
        {props.options.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
      <Foot id={id} {...props} />
    </div>
  )
}

type CheckProps = {
  label: string
  hint?: string
  isChecked: boolean
  isReadOnly?: boolean
  onChange(isChecked: boolean): void
}

export function CheckField({ label, hint, isChecked, isReadOnly, onChange }: CheckProps) {
  const id = useId()
  return (
    <div class="check">
      <input
        id={id}
        type="checkbox"
        checked={isChecked}
        disabled={isReadOnly}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint ? (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      ) : null}
    </div>
  )
}

function Foot({ id, hint, error }: { id: string } & Frame) {
  return (
    <>
      {error ? (
        <p class="field-error" id={`${id}-error`}>
          {error}
        </p>
      ) : null}
      {hint ? (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      ) : null}
    </>
  )
}

function describedBy(id: string, { hint, error }: Frame): string | undefined {
  const ids = [...(error ? [`${id}-error`] : []), ...(hint ? [`${id}-hint`] : [])]
  return ids.length > 0 ? ids.join(' ') : undefined
}
