import type { Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, PATIENT, settled, withConsole } from './browser.ts'

watchLogs()

/** What has the focus, as it is read aloud: its role is not asked for. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement
    const labels = element instanceof HTMLInputElement ? element.labels : null
    const text = element?.getAttribute('aria-label') ?? labels?.[0]?.textContent
    return (text ?? element?.textContent ?? '').trim()
  })
}

/** The focus is moved when the page has been drawn, a moment after it can be seen. */
async function hasFocus(page: Page, name: string): Promise<void> {
  await until(`the focus on "${name}"`, async () => (await focused(page)) === name)
}

/** Presses Tab until something has the focus; a page that loses it on the way fails here. */
async function tabTo(page: Page, name: string, key = 'Tab'): Promise<void> {
  for (let presses = 0; presses < 80; presses++) {
    if ((await focused(page)) === name) return
    await page.keyboard.press(key)
  }
  throw new Error(`The tabulator does not lead to "${name}"`)
}

describe.skipIf(!hasBrowser)('by keyboard alone', PATIENT, () => {
  const ui = withConsole()
  afterEach(() => ui.closePages())

  test('a key is created: from logging in to the key, and back to where one was', async () => {
    const page = await ui.open()
    await hasFocus(page, 'Admin token')
    await page.keyboard.insertText(ui.gate.adminToken)
    await page.keyboard.press('Enter')
    await page.locator('.topbar').waitFor()
    await tabTo(page, 'Clients')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Clients', level: 1 }).waitFor()
    await settled(page)
    await tabTo(page, 'app')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'app', level: 1 }).waitFor()
    await page.getByRole('button', { name: 'New key' }).waitFor()
    await tabTo(page, 'New key')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'New key' }).waitFor()
    await hasFocus(page, 'Note')
    await page.keyboard.insertText('by keyboard')
    await tabTo(page, 'Limits and budgets of its own')
    await page.keyboard.press('Enter')
    await tabTo(page, 'Requests a minute')
    await page.keyboard.insertText('30')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'The new key' }).waitFor()
    await hasFocus(page, 'Key')
    await tabTo(page, 'Copy key')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Copied' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await hasFocus(page, 'New key')
    const row = page.getByRole('row', { name: 'by keyboard' })
    await row.getByText('Requests/min 30').waitFor()
  })

  test('a plan is made, changed and removed', async () => {
    const page = await ui.enter()
    await tabTo(page, 'Plans')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor()
    await settled(page)
    await tabTo(page, 'New plan')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'New plan' }).waitFor()
    await hasFocus(page, 'Name')
    await page.keyboard.insertText('typed')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'typed', level: 1 }).waitFor()
    await hasFocus(page, 'typed')
    await page.getByRole('button', { name: 'Remove plan' }).waitFor()
    await tabTo(page, 'Requests at once')
    await page.keyboard.insertText('5')
    await page.keyboard.press('Enter')
    await page.getByText('typed is saved').waitFor()
    // What is removed is what was saved, when it has been read again.
    await page.locator('button[title="Nothing is changed"]').waitFor()
    await tabTo(page, 'Remove plan')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await tabTo(page, 'Remove plan')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor()
    expect((await ui.gate.admin('/plans/typed')).status).toBe(404)
  })

  test('a dialog keeps the focus, and Escape gives it back', async () => {
    const page = await ui.enter({ hash: 'clients' })
    await settled(page)
    await tabTo(page, 'New client')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.waitFor()
    for (let presses = 0; presses < 20; presses++) {
      await page.keyboard.press(presses < 10 ? 'Tab' : 'Shift+Tab')
      expect(await dialog.evaluate((one) => one.contains(document.activeElement))).toBe(true)
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await hasFocus(page, 'New client')
  })

  test('the page is reached past the navigation, and its heading is read after a link', async () => {
    const page = await ui.enter()
    await page.evaluate(() => (document.activeElement as HTMLElement).blur())
    await page.keyboard.press('Tab')
    await hasFocus(page, 'Skip to the page')
    await page.keyboard.press('Enter')
    await hasFocus(page, 'Now')
    await goTo(page, 'state')
    await page.getByRole('heading', { name: 'State', level: 1 }).waitFor()
    await hasFocus(page, 'State')
  })

  test('colors and language are switched, and remembered', async () => {
    const page = await ui.enter({ hash: 'state' })
    const scheme = () => page.evaluate(() => document.documentElement.dataset['theme'])
    expect(await scheme()).toBe('light')
    await page.getByRole('button', { name: 'Colors: as the system' }).click()
    await page.getByRole('button', { name: 'Colors: light' }).click()
    await page.getByRole('button', { name: 'Colors: dark' }).waitFor()
    expect(await scheme()).toBe('dark')
    await page.getByRole('button', { name: '中文' }).click()
    await page.getByRole('heading', { name: '狀態', level: 1 }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: '狀態', level: 1 }).waitFor()
    expect(await scheme()).toBe('dark')
    await page.getByRole('button', { name: 'English' }).click()
    await page.getByRole('heading', { name: 'State', level: 1 }).waitFor()
  })
})
