import type { ComponentChildren } from 'preact'
import { Icon, type IconName } from './icon.tsx'

type Props = {
  children?: ComponentChildren
  icon?: IconName
  kind?: 'primary' | 'plain' | 'danger' | 'quiet'
  type?: 'button' | 'submit'
  /** The name, where no text stands in it. */
  label?: string
  isBusy?: boolean
  isSmall?: boolean
  /** Why it cannot be used now: shown when somebody points at it, and read aloud. */
  whyNot?: string | null
  isPressed?: boolean
  onClick?(): void
}

/**
 * A button that cannot be used stays in the order of the tabulator, so that its reason can be found by
 * keyboard: aria-disabled, not disabled.
 */
export function Button(props: Props) {
  const { kind = 'plain', type = 'button', whyNot = null, isBusy = false } = props
  const isOff = whyNot !== null || isBusy
  const classes = ['button', `button-${kind}`]
  if (props.isSmall) classes.push('button-small')
  if (props.children === undefined) classes.push('button-icon')
  return (
    <button
      type={type}
      class={classes.join(' ')}
      aria-label={props.label}
      aria-disabled={isOff ? 'true' : undefined}
      aria-busy={isBusy ? 'true' : undefined}
      aria-pressed={props.isPressed}
      title={whyNot ?? (props.children === undefined ? props.label : undefined)}
      onClick={(event) => {
        if (isOff) event.preventDefault()
        else props.onClick?.()
      }}
    >
      {props.icon ? <Icon name={props.icon} /> : null}
      {props.children === undefined ? null : <span>{props.children}</span>}
    </button>
  )
}
