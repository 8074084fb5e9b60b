import { computed, effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

const STORE = 'tollgate.theme'
const darkSystem = matchMedia('(prefers-color-scheme: dark)')
const isSystemDark = signal(darkSystem.matches)

/** What was chosen. */
export const theme = signal<Theme>(restore())

/** What is shown. */
export const scheme = computed<'light' | 'dark'>(() =>
  theme.value === 'system' ? (isSystemDark.value ? 'dark' : 'light') : theme.value,
)

export function watchTheme(): void {
  darkSystem.addEventListener('change', ({ matches }) => {
    isSystemDark.value = matches
  })
  effect(() => {
    document.documentElement.dataset['theme'] = scheme.value
  })
  effect(() => {
    if (theme.value === 'system') localStorage.removeItem(STORE)
    else localStorage.setItem(STORE, theme.value)
  })
}

function restore(): Theme {
  const kept = localStorage.getItem(STORE)
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}
