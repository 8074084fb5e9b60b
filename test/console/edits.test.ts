import type { Locator, Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { makeKey, until } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, PATIENT, settled, withConsole } from './browser.ts'

watchLogs()

/** A field of the form; a bar above it may have the same name. */
function field(page: Page, name: string): Locator {
  return page.getByRole('textbox', { name })
}

describe.skipIf(!hasBrowser)('edits', PATIENT, () => {
  const clients = Object.fromEntries(
    ['contested', 'stopped', 'doomed'].map((name) => [name, { keys: [makeKey().record] }]),
  )
  const policy = { version: 1 as const, plans: { standard: { limits: { concurrency: 8 } } } }
  const ui = withConsole({ clients: { version: 1, clients }, policy })
  afterEach(() => ui.closePages())

  /** Somebody else changes a client meanwhile. */
  async function changeElsewhere(name: string, fields: object): Promise<void> {
    const etag = (await ui.gate.admin(`/clients/${name}`)).headers.get('etag') ?? ''
    const answer = await ui.gate.admin(`/clients/${name}`, {
      method: 'PATCH',
      headers: { 'if-match': etag },
      body: fields,
    })
    expect(answer.status).toBe(200)
  }

  async function clientOf(name: string): Promise<object> {
    return (await (await ui.gate.admin(`/clients/${name}`)).json()) as object
  }

  test('what was typed survives the change of another, and both are saved', async () => {
    const page = await ui.enter({ hash: 'clients/contested' })
    await field(page, 'Requests at once').fill('4')
    await changeElsewhere('contested', { note: 'changed by another' })
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Somebody has changed this client').waitFor()
    await page.locator('.changes').getByText('changed by another').waitFor()
    expect(await field(page, 'Requests at once').inputValue()).toBe('4')
    await page.getByRole('button', { name: 'Save on top of it' }).click()
    await page.getByText('contested is saved').waitFor()
    expect(await clientOf('contested')).toMatchObject({
      note: 'changed by another',
      limits: { concurrency: 4 },
    })
    ui.expected(/status of 412/)
  })

  test('a plan shows what it gives before it is saved', async () => {
    const page = await ui.enter({ hash: 'clients/contested' })
    await page.getByLabel('Plan', { exact: true }).selectOption('standard')
    await field(page, 'Requests at once').fill('')
    expect(await field(page, 'Requests at once').getAttribute('placeholder')).toBe('8 (plan)')
  })

  test('what cannot be read is marked, and not sent', async () => {
    const page = await ui.enter({ hash: 'clients/contested' })
    await field(page, 'Requests a minute').fill('many')
    await page.getByText('Write a whole number').waitFor()
    const save = page.getByRole('button', { name: 'Save' })
    expect(await save.getAttribute('title')).toContain('cannot be read')
  })

  test('a client is disabled after a question, and enabled again', async () => {
    const page = await ui.enter({ hash: 'clients/stopped' })
    await page.getByRole('button', { name: 'Disable' }).click()
    const dialog = page.getByRole('dialog', { name: 'Disable stopped?' })
    await dialog.getByRole('button', { name: 'Disable' }).click()
    await page.locator('h1 .badge', { hasText: 'disabled' }).waitFor()
    expect(await clientOf('stopped')).toMatchObject({ disabled: true })
    await page.getByRole('button', { name: 'Enable' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Enable' }).click()
    await page.locator('h1 .badge').waitFor({ state: 'detached' })
  })

  test('a client is removed after a question', async () => {
    const page = await ui.enter({ hash: 'clients/doomed' })
    await page.getByRole('button', { name: 'Remove client' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Remove client' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove client' }).click()
    await page.getByRole('heading', { name: 'Clients', level: 1 }).waitFor()
    await page.getByText('doomed is removed').waitFor()
    expect((await ui.gate.admin('/clients/doomed')).status).toBe(404)
  })

  test('a client that is not there is named, and nothing else is shown', async () => {
    const page = await ui.enter({ hash: 'clients/nobody' })
    await page
      .getByRole('alert')
      .getByText(/nobody/)
      .waitFor()
    expect(await page.getByRole('button', { name: 'Save' }).count()).toBe(0)
    ui.expected(/status of 404/)
  })

  test('a name that is taken is refused in the dialog', async () => {
    const page = await ui.enter({ hash: 'clients' })
    await page.getByRole('button', { name: 'New client' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'New client' }).click()
    await dialog.getByText('Give the client a name').waitFor()
    await dialog.getByLabel('Name').fill('contested')
    await dialog.getByRole('button', { name: 'New client' }).click()
    await dialog.getByText('There is a client contested already').waitFor()
    ui.expected(/status of 412/)
  })

  test('clients are searched', async () => {
    const page = await ui.enter({ hash: 'clients' })
    await page.getByRole('link', { name: 'contested' }).waitFor()
    await page.getByRole('searchbox').fill('stop')
    await page.getByRole('link', { name: 'contested' }).waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'stopped' }).waitFor()
    await page.getByRole('searchbox').fill('zzz')
    await page.getByText('No client fits "zzz"').waitFor()
  })

  test('the policy is checked by path, saved, and in the audit log', async () => {
    const page = await ui.enter({ hash: 'policy' })
    const text = page.getByLabel('The policy as JSON')
    const good = (await text.inputValue()).replace('"concurrency": 8', '"concurrency": 9')
    await text.fill(good.replace('9', '-9'))
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByRole('button', { name: /plans\.standard\.limits\.concurrency/ }).click()
    const selected = await text.evaluate((area: HTMLTextAreaElement) =>
      area.value.slice(area.selectionStart, area.selectionEnd),
    )
    expect(selected).toBe('"concurrency": -9')
    await text.fill('{')
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('This is not JSON').waitFor()
    await text.fill(good)
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('The policy is saved').waitFor()
    const saved = (await (await ui.gate.admin('/policy')).json()) as typeof policy
    expect(saved.plans.standard.limits.concurrency).toBe(9)
    await until(
      'the line of the audit log',
      async () => {
        await goTo(page, 'now')
        await goTo(page, 'state')
        await settled(page)
        return (await page.getByText('plans.standard.limits.concurrency').count()) > 0
      },
      30,
    )
  })

  test('the policy that another has changed is not overwritten unseen', async () => {
    const page = await ui.enter({ hash: 'policy' })
    const text = page.getByLabel('The policy as JSON')
    const mine = (await text.inputValue()).replace('{', '{ "maxInFlight": 64,')
    await text.fill(mine)
    const before = await ui.gate.admin('/policy')
    const etag = before.headers.get('etag') ?? ''
    const document = { ...((await before.json()) as object), defaultOutputTokens: 77 }
    const headers = { 'if-match': etag }
    const put = await ui.gate.admin('/policy', { method: 'PUT', headers, body: document })
    expect(put.status).toBe(200)
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Somebody has changed the policy').waitFor()
    await page.locator('.notice .changes').getByText('defaultOutputTokens').waitFor()
    expect(await text.inputValue()).toBe(mine)
    ui.expected(/status of 412/)
  })
})
