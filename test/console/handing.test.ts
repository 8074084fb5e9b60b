import type { Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, PATIENT, withConsole } from './browser.ts'

watchLogs()

/** What a key is handed out with: limits of its own, and the address where it works. */
describe.skipIf(!hasBrowser)('a new key', PATIENT, () => {
  const lockout = { badKeysPerMinute: 1_000_000 }
  const ui = withConsole({ policy: { version: 1, lockout } })
  afterEach(() => ui.closePages())

  async function openDialog(page: Page) {
    await page.getByRole('button', { name: 'New key' }).click()
    return page.getByRole('dialog', { name: 'New key' })
  }

  const snippet = (page: Page) => page.locator('dialog pre').textContent()

  test('has limits and budgets of its own, which hold and are shown', async () => {
    const page = await ui.enter({ hash: 'clients/app' })
    const dialog = await openDialog(page)
    await dialog.getByLabel('Note').fill('student')
    await dialog.getByText('Limits and budgets of its own').click()
    await dialog.getByLabel('Requests a minute').fill('two')
    await dialog.getByText('Write a whole number').waitFor()
    const create = dialog.getByRole('button', { name: 'Create key' })
    expect(await create.getAttribute('aria-disabled')).toBe('true')
    await dialog.getByLabel('Requests a minute').fill('2')
    await dialog.getByLabel('Tokens a month').fill('5M')
    await dialog.getByLabel('Hard budget').selectOption({ label: 'yes' })
    await create.click()
    const secret = await page.getByLabel('Key', { exact: true }).inputValue()
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('button', { name: 'Close without it' }).click()
    const row = page.getByRole('row', { name: 'student' })
    await row.getByText('Requests/min 2').waitFor()
    await row.getByText('Tokens/month 5M').waitFor()
    await row.getByText('(hard)').waitFor()
    const { keys } = await (await ui.gate.admin('/clients/app')).json()
    expect(keys.find(({ note }: { note?: string }) => note === 'student')).toMatchObject({
      limits: { requestsPerMinute: 2 },
      budgets: { tokensPerMonth: 5_000_000, hard: true },
    })
    await page.getByRole('meter', { name: 'Tokens a month' }).waitFor()
    const ask = async () => (await ui.gate.call('/v1/models', { key: secret })).status
    await until('the limit of the key to hold', async () => (await ask()) === 429)
    expect((await ui.gate.call('/v1/models')).status).toBe(200)
    await page.getByRole('button', { name: 'Rotate' }).click()
    await page.getByText('the new key gets the same').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
    await page.getByText('have different limits or budgets').waitFor()
    await page.keyboard.press('Escape')
    await goTo(page, 'keys')
    await page.getByRole('row', { name: 'student' }).getByText('Requests/min 2').waitFor()
  })

  test('has none of its own unless somebody says so', async () => {
    const page = await ui.enter({ hash: 'clients/app' })
    const dialog = await openDialog(page)
    await dialog.getByLabel('Note').fill('plain')
    await dialog.getByRole('button', { name: 'Create key' }).click()
    await page.getByRole('dialog', { name: 'The new key' }).waitFor()
    const { keys } = await (await ui.gate.admin('/clients/app')).json()
    const made = keys.find(({ note }: { note?: string }) => note === 'plain')
    expect(Object.keys(made).sort()).toEqual(['created', 'id', 'note', 'state'])
  })

  test('comes with a guess of the address, or with what the policy says', async () => {
    const page = await ui.enter({ hash: 'clients/app' })
    await openDialog(page)
    await page.getByRole('button', { name: 'Create key' }).click()
    await page.getByText('A guess: this page cannot know').waitFor()
    expect(await snippet(page)).toContain('curl http://127.0.0.1:8001/v1/chat/completions')
    await page.getByLabel('Address of the gate').fill('http://gate.lan:8001')
    expect(await snippet(page)).toContain('curl http://gate.lan:8001/v1/chat/completions')
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('button', { name: 'Close without it' }).click()

    await goTo(page, 'policy')
    const policy = page.getByLabel('The policy as JSON')
    const text = await policy.inputValue()
    const withUrl = (url: string) => text.replace('{', `{ "url": "${url}",`)
    await policy.fill(withUrl('https://llm.example.com/v1'))
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('no /v1 at the end').waitFor()
    await policy.fill(withUrl('https://llm.example.com/gate/'))
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('The policy is saved').waitFor()
    await until('the address', async () => {
      return (await (await ui.gate.admin('/status')).text()).includes('llm.example.com')
    })
    await page.reload()
    await goTo(page, 'clients/app')
    await openDialog(page)
    await page.getByRole('button', { name: 'Create key' }).click()
    await page.getByRole('dialog', { name: 'The new key' }).waitFor()
    await until('the address in the example', async () => {
      return (await snippet(page))?.includes(
        'curl https://llm.example.com/gate/v1/chat/completions',
      ) as boolean
    })
    expect(await page.getByLabel('Address of the gate').count()).toBe(0)
    ui.expected(/status of 422/)
  })
})
