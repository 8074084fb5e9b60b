type Props<Value extends string> = {
  label: string
  value: Value
  options: [value: NoInfer<Value>, label: string][]
  onChange(value: NoInfer<Value>): void
}

/** One of a few, all of them in sight. */
export function Segments<Value extends string>({ label, value, options, onChange }: Props<Value>) {
  return (
    <fieldset class="segments">
      <legend class="visually-hidden">{label}</legend>
      {options.map(([option, name]) => (
        <button
          key={option}
          type="button"
          class="segment"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
        >
          {name}
        </button>
      ))}
    </fieldset>
  )
}
