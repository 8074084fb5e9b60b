import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, type Look, settled, shoot, withConsole } from './browser.ts'
import { isCounted, makeScene, startTraffic } from './scene.ts'

watchLogs()

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

type Case = Required<Pick<Look, 'width' | 'scheme' | 'locale'>> & { name: string }

const CASES: Case[] = [
  { name: '1280-light-en', width: 1280, scheme: 'light', locale: 'en-US' },
  { name: '1280-dark-en', width: 1280, scheme: 'dark', locale: 'en-US' },
  { name: '1280-light-zh', width: 1280, scheme: 'light', locale: 'zh-TW' },
  { name: '360-light-en', width: 360, scheme: 'light', locale: 'en-US' },
  { name: '360-dark-zh', width: 360, scheme: 'dark', locale: 'zh-TW' },
]

/** Every page, and what its heading is in both languages. */
const PAGES: [name: string, hash: string, en: string, zh: string][] = [
  ['now', 'now', 'Now', '即時'],
  ['usage', 'usage', 'Usage', '用量'],
  ['clients', 'clients', 'Clients', '用戶端'],
  ['client', 'clients/web-shop', 'web-shop', 'web-shop'],
  ['keys', 'keys', 'Keys', '金鑰'],
  ['plans', 'plans', 'Plans', '方案'],
  ['plan', 'plans/standard', 'standard', 'standard'],
  ['policy', 'policy', 'Policy', '政策'],
  ['state', 'state', 'State', '狀態'],
]

/** axe-core finds nothing serious, and nothing is wider than the window. */
describe.skipIf(!hasBrowser)('every page', () => {
  const scene = makeScene()
  const ui = withConsole(scene.options)
  let axe = ''
  let traffic: { stop(): Promise<void> }
  beforeAll(async () => {
    axe = await readFile(AXE, 'utf8')
    if (!hasBrowser) return
    traffic = startTraffic(ui.gate, scene)
    await isCounted(ui.gate, scene)
  })
  afterAll(() => traffic?.stop())
  afterEach(() => ui.closePages())

  async function judge(page: Page, name: string): Promise<void> {
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
    expect(widths[0], `width of ${name}`).toBeLessThanOrEqual(widths[1] ?? 0)
    await page.evaluate(axe)
    const found = await page.evaluate(async () => {
      type Axe = { run(options: object): Promise<{ violations: Violation[] }> }
      type Violation = { id: string; impact: string; nodes: { html: string }[] }
      const { violations } = await (window as unknown as { axe: Axe }).axe.run({
        resultTypes: ['violations'],
      })
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)
    })
    expect(found, `axe-core on ${name}`).toEqual([])
  }

  test.each(CASES)('is sound at $name', { timeout: 240_000 }, async (look) => {
    const page = await ui.open(look)
    await page.locator('summary').click()
    await judge(page, 'login')
    await shoot(page, `login-${look.name}`)
    await page.locator('input[type=password]').fill(scene.token)
    await page.keyboard.press('Enter')
    await page.locator('.topbar').waitFor()
    for (const [name, hash, en, zh] of PAGES) {
      await goTo(page, hash)
      const heading = look.locale === 'zh-TW' ? zh : en
      await page.locator('h1', { hasText: heading }).waitFor()
      await settled(page)
      if (name === 'now') await page.locator('.bars li').nth(3).waitFor()
      await judge(page, name)
      await shoot(page, `${name}-${look.name}`)
    }
    expect(await page.evaluate(() => document.documentElement.lang)).toBe(
      look.locale === 'zh-TW' ? 'zh-Hant-TW' : 'en',
    )
    const scheme = await page.evaluate(() => document.documentElement.dataset['theme'])
    expect(scheme).toBe(look.scheme)
  })

  test.each(CASES.slice(0, 4))(
    'is sound in its dialogs at $name',
    { timeout: 120_000 },
    async (look) => {
      const page = await ui.enter({ ...look, token: scene.token, hash: 'clients' })
      await settled(page)
      const primary = page.locator('.page-actions .button-primary')
      await primary.click()
      await page.locator('dialog[open]').waitFor()
      await judge(page, 'new client')
      await shoot(page, `new-client-${look.name}`)
      await page.keyboard.press('Escape')
      await goTo(page, 'plans')
      await settled(page)
      await primary.click()
      await page.locator('dialog[open]').waitFor()
      await judge(page, 'new plan')
      await shoot(page, `new-plan-${look.name}`)
      await page.keyboard.press('Escape')
      await goTo(page, 'plans/trial')
      await page.locator('.button-danger').click()
      await page.locator('dialog[open] .button-danger').click()
      await page.locator('dialog[open] .names').waitFor()
      await judge(page, 'plan in use')
      await shoot(page, `plan-in-use-${look.name}`)
      ui.expected(/status of 409/)
      await page.keyboard.press('Escape')
      await goTo(page, 'clients/edu-lab')
      await settled(page)
      await page.locator('.panel-aside .button-primary').click()
      await page.locator('dialog[open] summary').click()
      await judge(page, 'limits of a new key')
      await shoot(page, `key-limits-${look.name}`)
      await page.locator('dialog[open] .button-primary').click()
      await page.locator('dialog[open] .secret').waitFor()
      await judge(page, 'new key')
      await shoot(page, `new-key-${look.name}`)
    },
  )
})
