import type { Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { hasBrowser, PATIENT, withConsole } from './browser.ts'

watchLogs()

const CHAT = '/v1/chat/completions'
const MODEL = 'Qwen/Qwen3-8B'
/** A prompt of 1,000 tokens and an answer of 1,000 cost 2. */
const PRICES = { [MODEL]: { input: 1000, output: 1000 } }

/** What an operator does who has never seen the project: issue 5, "Done when". */
describe.skipIf(!hasBrowser)('an operator', PATIENT, () => {
  // A key is asked for again and again until it works, or works no more: that is no guessing of keys.
  const lockout = { badKeysPerMinute: 1_000_000 }
  const ui = withConsole({ policy: { version: 1, prices: PRICES, lockout } })
  afterEach(() => ui.closePages())
  beforeEach(() => ui.gate?.mock.reset())

  /** A request of a client; `mock` says how the model behaves. */
  function ask(key: string, mock: string, fields: object = {}) {
    const messages = [{ role: 'user', content: 'one two three' }]
    const body = JSON.stringify({ model: MODEL, messages, mock, ...fields })
    return ui.gate.call(CHAT, { key, body })
  }

  /** Makes a client over the API, for tests that begin after that. */
  async function makeClient(name: string, fields: object = {}): Promise<string> {
    const path = `/clients/${name}`
    const made = await ui.gate.admin(path, {
      method: 'PUT',
      headers: { 'if-none-match': '*' },
      body: fields,
    })
    expect(made.status).toBe(201)
    const key = await ui.gate.admin(`${path}/keys`, { method: 'POST', body: {} })
    expect(key.status).toBe(201)
    const { key: secret } = (await key.json()) as { key: string }
    await works(secret)
    return secret
  }

  /** A change is in force within a second: this waits for the key that was just made. */
  async function works(key: string): Promise<void> {
    await until('the key to work', async () => {
      return (await ui.gate.call('/v1/models', { key })).status === 200
    })
  }

  /** What a client has spent, as far as it is counted: twice a second. */
  async function costOf(client: string): Promise<number> {
    const usage = await ui.gate.admin(`/usage?by=client&client=${client}`)
    if (usage.status !== 200) return 0
    const { rows } = (await usage.json()) as { rows: { cost: number }[] }
    return rows[0]?.cost ?? 0
  }

  async function copied(page: Page): Promise<string> {
    return page.getByLabel('Key', { exact: true }).inputValue()
  }

  test('creates a client with a monthly budget', async () => {
    const page = await ui.enter({ hash: 'clients' })
    await page.getByRole('button', { name: 'New client' }).click()
    const dialog = page.getByRole('dialog', { name: 'New client' })
    await dialog.getByLabel('Name').fill('budgeted')
    await dialog.getByLabel('Cost a month').fill('120')
    await dialog.getByLabel('Note').fill('Team of the web shop')
    await dialog.getByRole('button', { name: 'New client' }).click()
    await page.getByRole('heading', { name: 'budgeted' }).waitFor()
    await page.getByRole('meter', { name: 'Cost a month' }).waitFor()
    await page.getByText('This client has no key yet').waitFor()
    const answer = await ui.gate.admin('/clients/budgeted')
    expect(await answer.json()).toMatchObject({
      budgets: { costPerMonth: 120 },
      note: 'Team of the web shop',
    })
  })

  test('hands out a key, which is shown once and can be copied', async () => {
    await makeClient('handed')
    const page = await ui.enter({ hash: 'clients/handed' })
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.getByRole('button', { name: 'New key' }).click()
    await page.getByRole('dialog').getByLabel('Note').fill('laptop')
    await page.getByRole('button', { name: 'Create key' }).click()
    const dialog = page.getByRole('dialog', { name: 'The new key' })
    const secret = await copied(page)
    expect(secret).toMatch(/^tg_[a-z0-9]{8}_[A-Za-z0-9]{49}$/)
    expect(await dialog.locator('pre').textContent()).toContain(`Bearer ${secret}`)
    await dialog.getByRole('button', { name: 'Copy key' }).click()
    await dialog.getByRole('button', { name: 'Copied' }).waitFor()
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret)
    await dialog.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('row', { name: 'laptop' }).waitFor()
    expect(await page.content()).not.toContain(secret)
    await works(secret)
  })

  test('warns before a key is lost that nobody has copied', async () => {
    await makeClient('careless')
    const page = await ui.enter({ hash: 'clients/careless' })
    await page.getByRole('button', { name: 'New key' }).click()
    await page.getByRole('button', { name: 'Create key' }).click()
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByText('The key is not copied yet').waitFor()
    await page.getByRole('button', { name: 'Close without it' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  test('sees the first request of a client appear live, and cuts it', async () => {
    ui.gate.expectErrors(/ended this stream: cut_operator/)
    const secret = await makeClient('live')
    const page = await ui.enter({ hash: 'now' })
    await page.getByText('Nothing runs at this moment').waitFor()
    const answer = ask(secret, 'prompt:7,tokens:100000,itl:20', { stream: true })
    const row = page.getByRole('row', { name: 'live' })
    await row.waitFor()
    await row.getByText(/tok\/s/).waitFor()
    await page.locator('.bars').getByText('live').waitFor()
    await row.getByRole('button', { name: /^Cut/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cut' }).click()
    await (await answer).text()
    await row.waitFor({ state: 'detached' })
    await until('its line in the ledger', async () => {
      const lines = await ui.gate.ledger()
      return lines.some(({ client, outcome }) => client === 'live' && outcome === 'cut_operator')
    })
  })

  test('sees a client refused when its budget is spent', async () => {
    const secret = await makeClient('spent', { budgets: { costPerMonth: 2 } })
    expect((await ask(secret, 'prompt:1000,tokens:1000')).status).toBe(200)
    expect((await ask(secret, 'prompt:1,tokens:1')).status).toBe(429)
    await until('the ledger to be counted', async () => {
      const balance = await ui.gate.admin('/clients/spent/balance')
      return (await balance.text()).includes('"used":2,')
    })
    const page = await ui.enter({ hash: 'clients' })
    const row = page.getByRole('row', { name: 'spent' })
    await row.locator('.meter-full').waitFor()
    await row.getByRole('link', { name: 'spent' }).click()
    await page.getByText(/^0 left/).waitFor()
    expect(
      await page.getByRole('meter', { name: 'Cost a month' }).getAttribute('aria-valuetext'),
    ).toBe('100%')
  })

  test('raises the budget, and the next request passes', async () => {
    const secret = await makeClient('raised', { budgets: { costPerMonth: 2 } })
    expect((await ask(secret, 'prompt:1000,tokens:1000')).status).toBe(200)
    expect((await ask(secret, 'prompt:1,tokens:1')).status).toBe(429)
    const page = await ui.enter({ hash: 'clients/raised' })
    await page.getByRole('textbox', { name: 'Cost a month' }).fill('1k')
    await page.getByText('one field changed').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('raised is saved').waitFor()
    await page.getByText('/ 1,000.00').waitFor()
    await until('the request to pass', async () => {
      return (await ask(secret, 'prompt:1,tokens:1')).status === 200
    })
  })

  test('rotates a key: the new one works, the old one ends', async () => {
    const secret = await makeClient('rotated')
    const page = await ui.enter({ hash: 'clients/rotated' })
    await page.getByRole('button', { name: 'Rotate' }).click()
    const dialog = page.getByRole('dialog')
    await dialog
      .getByLabel('The old keys go on for')
      .selectOption({ label: 'not at all: they end now' })
    await dialog.getByRole('button', { name: 'Rotate' }).click()
    await page.getByRole('dialog', { name: 'The new key' }).waitFor()
    const next = await copied(page)
    expect(next).not.toBe(secret)
    await works(next)
    await until('the old key to end', async () => {
      return (await ui.gate.call('/v1/models', { key: secret })).status === 401
    })
  })

  test('revokes a key after a question', async () => {
    const secret = await makeClient('revoked')
    const page = await ui.enter({ hash: 'clients/revoked' })
    await page.getByRole('button', { name: /^Revoke key/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('cell', { name: 'revoked', exact: true }).waitFor()
    await until('the key to be refused', async () => {
      return (await ui.gate.call('/v1/models', { key: secret })).status === 401
    })
  })

  test('finds who spent most last week', async () => {
    const [little, much] = [await makeClient('thrifty'), await makeClient('lavish')]
    expect((await ask(little, 'prompt:10,tokens:10')).status).toBe(200)
    expect((await ask(much, 'prompt:90000,tokens:16')).status).toBe(200)
    await until('the ledger to be counted', async () => {
      return (await costOf('thrifty')) > 0 && (await costOf('lavish')) > 0
    })
    const page = await ui.enter({ hash: 'usage' })
    const most = page.locator('.tile', { hasText: 'Spent most' })
    await most.getByText('lavish').waitFor()
    const ranking = page.getByRole('table', { name: 'Ranking' })
    const first = ranking.getByRole('rowheader').first()
    expect(await first.textContent()).toBe('lavish')
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download CSV' }).click()
    expect((await download).suggestedFilename()).toMatch(
      /^tollgate-usage-by-client-and-day.*\.csv$/,
    )
  })
})
