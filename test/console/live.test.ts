import type { Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { sleep, until } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, PATIENT, settled, withConsole } from './browser.ts'

watchLogs()

const MODEL = 'Qwen/Qwen3-8B'

/** Longer than the calls of every live page are apart. */
const UNSEEN_MS = 6000
const QUIET_MS = 2000

describe.skipIf(!hasBrowser)('live pages', PATIENT, () => {
  const ui = withConsole({
    policy: { version: 1, plans: { metered: { budgets: { tokensPerMonth: 1000 } } } },
    clients: { version: 1, clients: { zoe: { plan: 'metered', keys: [] } } },
  })
  afterEach(() => ui.closePages())

  /** The paths of the calls that a page makes from now on. */
  function countCalls(page: Page) {
    const calls: string[] = []
    page.on('request', (request) => {
      if (request.resourceType() === 'fetch') calls.push(new URL(request.url()).pathname)
    })
    return calls
  }

  /** What was under way when the page was hidden may still ask once. */
  async function isQuiet(calls: string[]): Promise<void> {
    await until('the calls to end', async () => {
      calls.length = 0
      await sleep(QUIET_MS)
      return calls.length === 0
    })
  }

  /** A headless browser shows every tab: the page is told that it is hidden, as it would be behind another. */
  async function setHidden(page: Page, isHidden: boolean): Promise<void> {
    await page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => value })
      const state = value ? 'hidden' : 'visible'
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state })
      document.dispatchEvent(new Event('visibilitychange'))
    }, isHidden)
  }

  test('bars in the list of clients move by themselves', async () => {
    const page = await ui.enter({ hash: 'clients' })
    await settled(page)
    await page.getByRole('button', { name: 'New client' }).waitFor()
    const made = await ui.gate.admin('/clients/zoe/keys', { method: 'POST', body: {} })
    const { key } = (await made.json()) as { key: string }
    const body = JSON.stringify({ model: MODEL, messages: [], mock: 'prompt:600,tokens:150' })
    await until('a request to be answered', async () => {
      return (await ui.gate.call('/v1/chat/completions', { key, body })).status === 200
    })
    const bar = page
      .getByRole('row', { name: 'zoe' })
      .getByRole('meter', { name: 'Tokens a month' })
    await until('the bar to move', async () => (await bar.getAttribute('aria-valuenow')) === '750')
  })

  test.each([
    ['now', '/running'],
    ['clients', '/balances'],
    ['clients/zoe', '/clients/zoe/balance'],
  ])('%s rests while it cannot be seen, and goes on when it can', async (hash, path) => {
    const page = await ui.enter()
    const calls = countCalls(page)
    await goTo(page, hash)
    await settled(page)
    await until('the first look', () => calls.includes(path))
    await setHidden(page, true)
    await isQuiet(calls)
    await sleep(UNSEEN_MS)
    expect(calls).toEqual([])
    await setHidden(page, false)
    await until('another look', () => calls.includes(path))
  })
})
