import { effect, signal } from '@preact/signals'

export type Language = 'en' | 'zh'

const STORE = 'tollgate.language'

export const language = signal<Language>(restore() ?? detect(navigator.languages))

/** The first language of the browser that there is a text for; English where there is none. */
export function detect(languages: readonly string[]): Language {
  for (const tag of languages) {
    if (/^zh\b/i.test(tag)) return 'zh'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'en'
}

/** The tag for `lang` and Intl. */
export function tagOf(chosen: Language): string {
  return chosen === 'zh' ? 'zh-Hant-TW' : 'en'
}

export function choose(chosen: Language): void {
  language.value = chosen
  localStorage.setItem(STORE, chosen)
}

export function watchLanguage(): void {
  effect(() => {
    document.documentElement.lang = tagOf(language.value)
  })
}

function restore(): Language | null {
  const kept = localStorage.getItem(STORE)
  return kept === 'en' || kept === 'zh' ? kept : null
}
