import type { Locator, Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import type { Policy } from '../../src/core/config/shapes.ts'
import { makeKey } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, PATIENT, settled, withConsole } from './browser.ts'

watchLogs()

const PLANS: Policy['plans'] = {
  standard: { limits: { concurrency: 8 }, budgets: { costPerMonth: 40, hard: true } },
  contested: { note: 'before' },
  unused: {},
}

describe.skipIf(!hasBrowser)('plans', PATIENT, () => {
  const clients = {
    shop: { plan: 'standard', keys: [makeKey().record] },
    lab: { plan: 'standard', keys: [] },
    // Has the name of the plan in another field.
    other: { note: 'not standard', keys: [] },
  }
  const ui = withConsole({
    clients: { version: 1, clients },
    policy: { version: 1, plans: PLANS, prices: { '*': { input: 1, output: 1 } } },
  })
  afterEach(() => ui.closePages())

  async function storedPlan(name: string): Promise<object> {
    return (await (await ui.gate.admin(`/plans/${name}`)).json()) as object
  }

  /** A field of the form, or of a dialog. */
  const field = (of: Page | Locator, name: string) => of.getByRole('textbox', { name })

  test('are listed with what they give, and with who has them', async () => {
    const page = await ui.enter()
    await page.getByRole('link', { name: 'Plans' }).click()
    const row = page.getByRole('row', { name: 'standard' })
    await row.getByText('At once 8').waitFor()
    await row.getByText('Cost/month 40').waitFor()
    await row.getByRole('link', { name: '2', exact: true }).click()
    await page.getByRole('heading', { name: 'Clients', level: 1 }).waitFor()
    expect(await page.getByRole('searchbox').inputValue()).toBe('standard')
    await page.getByRole('link', { name: 'lab' }).waitFor()
    await page.getByRole('link', { name: 'app', exact: true }).waitFor({ state: 'detached' })
    await page.getByRole('row', { name: 'lab' }).getByRole('link', { name: 'standard' }).click()
    await page.getByRole('heading', { name: 'standard', level: 1 }).waitFor()
  })

  test('a plan is made, filled in, and given to a client', async () => {
    const page = await ui.enter({ hash: 'plans' })
    await page.getByRole('button', { name: 'New plan' }).click()
    const dialog = page.getByRole('dialog', { name: 'New plan' })
    await dialog.getByRole('button', { name: 'New plan' }).click()
    await dialog.getByText('Give the plan a name').waitFor()
    await dialog.getByLabel('Name').fill('gold')
    await dialog.getByLabel('Cost a month').fill('1k')
    await dialog.getByLabel('Requests at once').fill('32')
    await dialog.getByRole('button', { name: 'New plan' }).click()
    await page.getByRole('heading', { name: 'gold', level: 1 }).waitFor()
    await page.getByText('No client has this plan').waitFor()
    await field(page, 'Models').fill('llama-*, qwen')
    await page.getByLabel('As usual', { exact: true }).uncheck()
    await page.getByLabel('Audio').uncheck()
    await page.getByText('More settings').click()
    await field(page, 'Output tokens').last().fill('4096')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('gold is saved').waitFor()
    expect(await storedPlan('gold')).toMatchObject({
      limits: { concurrency: 32 },
      budgets: { costPerMonth: 1000 },
      models: ['llama-*', 'qwen'],
      scopes: ['inference', 'embeddings', 'models'],
      request: { maxOutputTokens: 4096 },
    })
    await goTo(page, 'clients/app')
    await page.getByLabel('Plan', { exact: true }).selectOption('gold')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('app is saved').waitFor()
    await page.getByRole('meter', { name: 'Cost a month' }).waitFor()
  })

  test('a name that is taken is refused in the dialog', async () => {
    const page = await ui.enter({ hash: 'plans' })
    await page.getByRole('button', { name: 'New plan' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('unused')
    await page.keyboard.press('Enter')
    await dialog.getByText('There is a plan unused already').waitFor()
    ui.expected(/status of 412/)
  })

  test('what was typed survives the change of another, and what it does not name stays', async () => {
    const page = await ui.enter({ hash: 'plans/contested' })
    await field(page, 'Requests at once').fill('4')
    const etag = (await ui.gate.admin('/plans/contested')).headers.get('etag') ?? ''
    const theirs = await ui.gate.admin('/plans/contested', {
      method: 'PUT',
      headers: { 'if-match': etag },
      body: { note: 'changed by another', priority: 3 },
    })
    expect(theirs.status).toBe(200)
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Somebody has changed this plan').waitFor()
    await page.locator('.changes').getByText('changed by another').waitFor()
    expect(await field(page, 'Requests at once').inputValue()).toBe('4')
    await page.getByRole('button', { name: 'Save on top of it' }).click()
    await page.getByText('contested is saved').waitFor()
    expect(await storedPlan('contested')).toEqual({
      name: 'contested',
      clients: 0,
      note: 'changed by another',
      priority: 3,
      limits: { concurrency: 4 },
    })
    ui.expected(/status of 412/)
  })

  test('a plan that clients have is not removed, and they are named', async () => {
    const page = await ui.enter({ hash: 'plans/standard' })
    await page.getByText('2 clients have this plan').waitFor()
    await page.getByRole('button', { name: 'Remove plan' }).click()
    const dialog = page.getByRole('dialog', { name: 'Remove plan standard for good?' })
    await dialog.getByRole('button', { name: 'Remove plan' }).click()
    await dialog.getByText('2 clients have this plan, so it was not removed').waitFor()
    expect(await dialog.getByRole('listitem').allTextContents()).toEqual(['shop', 'lab'])
    expect((await ui.gate.admin('/plans/standard')).status).toBe(200)
    await dialog.getByRole('link', { name: 'lab' }).click()
    await page.getByRole('heading', { name: 'lab', level: 1 }).waitFor()
    expect(await page.getByRole('dialog').count()).toBe(0)
    ui.expected(/status of 409/)
  })

  test('a plan that nobody has is removed after a question', async () => {
    const page = await ui.enter({ hash: 'plans/unused' })
    await page.getByRole('button', { name: 'Remove plan' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('nothing changes for anybody').waitFor()
    await dialog.getByRole('button', { name: 'Remove plan' }).click()
    await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor()
    await settled(page)
    expect(await page.getByRole('row', { name: 'unused' }).count()).toBe(0)
    expect((await ui.gate.admin('/plans/unused')).status).toBe(404)
  })
})
