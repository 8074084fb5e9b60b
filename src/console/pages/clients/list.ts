import { useCallback, useEffect, useState } from 'preact/hooks'
import { listBalances, listClients } from '../../api/calls.ts'
import type { Balance, Client } from '../../api/types.ts'
import { type Loaded, useLoad, usePolling } from '../../load.ts'

/** A client with what it has used, where that is known. */
export type Listed = { client: Client; balance: Balance | undefined }

type Page = { listed: Listed[]; next: string | null }

const PAGE_ROWS = 50
/** The most that the API tells at once. */
const BALANCES_MAX = 1000
/** Bars move while somebody looks. */
const BALANCES_MS = 5000
/** Typing is searched for when it pauses. */
const PAUSE_MS = 250

export type ListOfClients = Loaded<Page> & { more: (() => void) | null; isMoreLoading: boolean }

/** Clients by name, page by page; with their balances, always the newest, where they are asked for. */
export function useClients(q: string, hasBalances: boolean): ListOfClients {
  const [further, setFurther] = useState<Page | null>(null)
  const [fresh, setFresh] = useState<Balances>(new Map())
  const [isMoreLoading, setMoreLoading] = useState(false)
  const first = useLoad(`${q} ${hasBalances}`, async (signal) => {
    const page = await loadPage(q, undefined, hasBalances, signal)
    setFurther(null)
    setFresh(new Map())
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
  const loaded = [...(first.data?.listed ?? []), ...(further?.listed ?? [])]
  usePolling(BALANCES_MS, hasBalances && loaded.length > 0, async (signal) => {
    const limit = Math.min(loaded.length, BALANCES_MAX)
    const { balances } = await listBalances({ q, limit }, signal)
    setFresh(byClient(balances))
  })
  const listed = loaded.map(({ client, balance }) => ({
    client,
    balance: fresh.get(client.name) ?? balance,
  }))
  return {
    ...first,
    data: first.data ? { listed, next } : undefined,
    more: next === null ? null : () => void more(),
    isMoreLoading,
  }
}

/** What somebody looks for: as it is typed, and as it is asked for when that has come to rest. */
export function useSearch(begin = ''): { q: string; settled: string; setQ(value: string): void } {
  const [q, setQ] = useState(begin)
  const [settled, setSettled] = useState(begin)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(q), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [q])
  return { q, settled, setQ }
}

type Balances = Map<string, Balance>

function byClient(balances: Balance[]): Balances {
  return new Map(balances.map((balance) => [balance.client, balance]))
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
  const balances = byClient(sums?.balances ?? [])
  return {
    listed: list.clients.map((client) => ({ client, balance: balances.get(client.name) })),
    next: list.next,
  }
}
