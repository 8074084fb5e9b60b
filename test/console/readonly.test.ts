import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeKey } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { dropRights, setWritable } from '../nginx/readonly.ts'
import { goTo, hasBrowser, type Look, PATIENT, settled, shoot, withConsole } from './browser.ts'

watchLogs()

/** The console before a gate whose workers may not write the configuration, as after an installation. */
describe.skipIf(!hasBrowser)('a configuration that may not be written', PATIENT, () => {
  const ui = withConsole({
    clients: { version: 1, clients: { steady: { keys: [makeKey().record] } } },
    policy: { version: 1, plans: { standard: {} } },
    prepare: dropRights,
  })
  beforeEach(() => setWritable(ui.gate.configDir, false))
  afterEach(async () => {
    await ui.closePages()
    await setWritable(ui.gate.configDir, true)
  })

  test.each<[string, Look, string, string]>([
    ['English', {}, 'may not write its configuration', 'No problem: the configuration'],
    [
      'Chinese, on a telephone',
      { width: 360, scheme: 'dark', locale: 'zh-TW' },
      '閘門無法寫入設定',
      '沒有問題：設定已生效',
    ],
  ])('is told in %s, calmly and with its fix, and nobody is called for it', async (...row) => {
    const [, look, title, fine] = row
    const page = await ui.enter({ ...look, hash: 'state' })
    const notice = page.locator('.notice-info', { hasText: title })
    await notice.getByText('sudo tollgate admin enable').waitFor()
    await notice.getByText(ui.gate.configDir).waitFor()
    await page.getByText(fine).waitFor()
    expect(await page.locator('.nav-count').count()).toBe(0)
    await settled(page)
    await shoot(page, `read-only-${look.width ?? 1280}`)
  })

  test.each([
    ['clients', 'New client'],
    ['keys', 'New key'],
    ['plans', 'New plan'],
    ['clients/steady', 'Disable'],
    ['clients/steady', 'Remove client'],
    ['clients/steady', 'Save'],
    ['plans/standard', 'Remove plan'],
    ['plans/standard', 'Save'],
    ['policy', 'Save'],
  ])('%s says why "%s" cannot be used', async (hash, name) => {
    const page = await ui.enter({ hash })
    await settled(page)
    const button = page.getByRole('button', { name, exact: true }).first()
    await page.waitForFunction(
      (one) => one?.getAttribute('title')?.includes('sudo tollgate admin enable'),
      await button.elementHandle(),
    )
    expect(await button.getAttribute('aria-disabled')).toBe('true')
  })

  test('is told where it comes to light with the change itself, and nothing is lost', async () => {
    await setWritable(ui.gate.configDir, true)
    const page = await ui.enter({ hash: 'clients/steady' })
    const field = page.getByRole('textbox', { name: 'Requests at once' })
    await field.fill('5')
    const save = page.getByRole('button', { name: 'Save' })
    await page.waitForFunction(
      (one) => one?.getAttribute('aria-disabled') === null,
      await save.elementHandle(),
    )
    // The page does not learn of it by itself meanwhile.
    await page.route('**/status', () => undefined)
    await setWritable(ui.gate.configDir, false)
    await save.click()
    const alert = page.getByRole('alert').filter({ hasText: 'may not write' })
    await alert.getByText('sudo tollgate admin enable').waitFor()
    expect(await field.inputValue()).toBe('5')
    await setWritable(ui.gate.configDir, true)
    await save.click()
    await page.getByText('steady is saved').waitFor()
    expect(await (await ui.gate.admin('/clients/steady')).json()).toMatchObject({
      limits: { concurrency: 5 },
    })
    await goTo(page, 'now')
    ui.expected(/status of 409/)
  })
})
