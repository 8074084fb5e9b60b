import { useCallback, useEffect, useState } from 'preact/hooks'
import { listBalances, listClients } from '../../api/calls.ts'
import type { Balance, Client } from '../../api/types.ts'
import { type Loaded, useLoad } from '../../load.ts'

/** A client with what it has used, where that is known. */
export type Listed = { client: Client; balance: Balance | undefined }

type Page = { listed: Listed[]; next: string | null }

const PAGE_ROWS = 50
/** Typing is searched for when it pauses. */
const PAUSE_MS = 250

export type ListOfClients = Loaded<Page> & { more: (() => void) | null; isMoreLoading: boolean }

/** Clients by name, page by page; with their balances where they are asked for. */
export function useClients(q: string, hasBalances: boolean): ListOfClients {
  const [further, setFurther] = useState<Page | null>(null)
  const [isMoreLoading, setMoreLoading] = useState(false)
  const first = useLoad(`${q} ${hasBalances}`, async (signal) => {
    const page = await loadPage(q, undefined, hasBalances, signal)
    setFurther(null)
    return page
  })
  const next = further ? further.next : (first.data?.next ?? null)
  const more = useCallback(async () => {
    setMoreLoading(true)
    try {
      const page = await loadPage(q, next ?? undefined, hasBalances, new AbortController().signal)
      setFurther((kept) => ({ listed: [...(kept?.listed ?? []), ...page.listed], next: page.next }))
    } finally {
      setMoreLoading(false)
    }
  }, [q, next, hasBalances])
  const listed = [...(first.data?.listed ?? []), ...(further?.listed ?? [])]
  return {
    ...first,
    data: first.data ? { listed, next } : undefined,
    more: next === null ? null : () => void more(),
    isMoreLoading,
  }
}

/** A value that follows another one when that has come to rest. */
export function useSettled(value: string): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}

async function loadPage(
  q: string,
  after: string | undefined,
  hasBalances: boolean,
  signal: AbortSignal,
): Promise<Page> {
  const page = { q, after, limit: PAGE_ROWS }
  const [list, sums] = await Promise.all([
    listClients(page, signal),
    hasBalances ? listBalances(page, signal) : null,
  ])
  const balances = new Map((sums?.balances ?? []).map((balance) => [balance.client, balance]))
  return {
    listed: list.clients.map((client) => ({ client, balance: balances.get(client.name) })),
    next: list.next,
  }
}
