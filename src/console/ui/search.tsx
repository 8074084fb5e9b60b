import { useId } from 'preact/hooks'
import { Icon } from './icon.tsx'

type Props = { label: string; value: string; onChange(value: string): void }

export function SearchField({ label, value, onChange }: Props) {
  const id = useId()
  return (
    <search class="search">
      <label class="visually-hidden" for={id}>
        {label}
      </label>
      <Icon name="search" />
      <input
        id={id}
        type="search"
        value={value}
        placeholder={label}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </search>
  )
}
