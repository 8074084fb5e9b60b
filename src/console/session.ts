import { computed, signal } from '@preact/signals'
import type { Me } from './api/types.ts'

/** Why the page asks for a token: nobody was here yet, somebody left, or the gate refused the token. */
export type Ending = 'none' | 'left' | 'refused'

/** Only here and in the memory of the tab: another tab asks again, and closing this one forgets it. */
const STORE = 'tollgate.session'

type Session = { token: string; me: Me }

const session = signal<Session | null>(restore())

export const ending = signal<Ending>('none')
export const token = computed(() => session.value?.token ?? '')
export const me = computed(() => session.value?.me ?? null)
export const canWrite = computed(() => session.value?.me.role === 'write')

export function beginSession(newToken: string, who: Me): void {
  session.value = { token: newToken, me: who }
  sessionStorage.setItem(STORE, JSON.stringify(session.value))
}

export function endSession(why: Ending): void {
  if (session.value === null) return
  sessionStorage.removeItem(STORE)
  session.value = null
  ending.value = why
}

function restore(): Session | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE) ?? 'null')
    return typeof kept?.token === 'string' && typeof kept?.me?.role === 'string' ? kept : null
  } catch {
    return null
  }
}
