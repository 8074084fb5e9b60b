import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { packageDir } from '../../src/cli/install/layout.ts'
import { findNginx } from '../../src/cli/nginx/find.ts'
import { type Gate, type GateOptions, startGate } from '../nginx/harness.ts'
import type { Setup } from '../nginx/setups.ts'

/** Where pictures of the pages are kept. */
export const SHOTS_DIR = join(packageDir(), 'test-results', 'console')

/** A browser takes long to do little on a machine with other work: patience costs nothing. */
const TIMEOUT_MS = 20_000

/** For a whole test. */
export const PATIENT = { timeout: 120_000 }

const CHROMIUM = findChromium()

/** Whether there is a browser. Without one the tests in it are left out, and say so. */
export const hasBrowser = CHROMIUM !== null
if (!hasBrowser) {
  const hint = 'apt install chromium, or name one in TOLLGATE_CHROMIUM'
  process.stderr.write(
    `No Chromium: the tests of the console in a browser are left out (${hint})\n`,
  )
}

/** Without these Chromium talks to hosts of its maker. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export type Look = {
  scheme?: 'light' | 'dark'
  width?: number
  height?: number
  locale?: string
}

/** A browser and a gate for all tests of a file; `use` gives them when they run. */
export function withConsole(options: GateOptions | (() => GateOptions) = {}) {
  let browser: Browser
  let gate: Gate
  const contexts: BrowserContext[] = []
  const watched: string[] = []
  const expected: RegExp[] = []
  beforeAll(async () => {
    if (CHROMIUM === null) return
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
    const setup = await newestSetup()
    gate = await startGate(setup, typeof options === 'function' ? options() : options)
  })
  afterAll(async () => {
    await browser?.close()
    await gate?.stop()
    const unexpected = watched.filter((said) => !expected.some((pattern) => pattern.test(said)))
    expect(unexpected, 'what the pages should not have done').toEqual([])
  })

  /** A page of its own, as a new visitor has it: nothing is remembered from another. */
  async function open(look: Look = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: look.width ?? 1280, height: look.height ?? 860 },
      colorScheme: look.scheme ?? 'light',
      locale: look.locale ?? 'en-US',
      timezoneId: 'Asia/Taipei',
      reducedMotion: 'reduce',
    })
    contexts.push(context)
    context.setDefaultTimeout(TIMEOUT_MS)
    const page = await context.newPage()
    watch(page, gate, watched)
    await page.goto(`${gate.adminUrl}/`)
    return page
  }

  /** A page on which somebody has logged in. */
  async function enter(look: Look & { token?: string; hash?: string } = {}): Promise<Page> {
    const page = await open(look)
    await page.locator('input[type=password]').fill(look.token ?? gate.adminToken)
    await page.keyboard.press('Enter')
    await page.locator('.topbar').waitFor()
    if (look.hash) await goTo(page, look.hash)
    return page
  }

  return {
    open,
    enter,
    get gate() {
      return gate
    },
    /** What the browser logs because a test of this file provokes it. */
    expected(pattern: RegExp) {
      expected.push(pattern)
    },
    async closePages() {
      for (const context of contexts.splice(0)) await context.close()
    },
  }
}

/** Changes the hash, and waits until the page stands there. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate((to) => {
    location.hash = to
  }, `#/${hash}`)
  await page.locator('main h1').waitFor()
}

/** Nothing is loading any more. */
export async function settled(page: Page): Promise<void> {
  await page.locator('.skeleton').first().waitFor({ state: 'detached' })
  await page.locator('.is-loading').waitFor({ state: 'detached' })
}

/** A picture of the whole page. The window grows to it, so that what is fixed stands at its edge. */
export async function shoot(page: Page, name: string): Promise<void> {
  await mkdir(SHOTS_DIR, { recursive: true })
  const size = page.viewportSize()
  if (size === null) return
  const height = await page.evaluate(() => document.documentElement.scrollHeight)
  await page.setViewportSize({ width: size.width, height: Math.max(size.height, height) })
  await page.screenshot({ path: join(SHOTS_DIR, `${name}.png`) })
  await page.setViewportSize(size)
}

/** Notes what no page may do: speak to another host, log an error, break its own security policy. */
function watch(page: Page, gate: Gate, watched: string[]): void {
  page.on('console', (message) => {
    const said = `${message.type()}: ${message.text()} ${message.location().url}`
    // An API that is not ready says so, and the page asks again; as it does when a network interface of
    // this machine has come or gone, with the containers of another test.
    const isPassing = /status of 503|ERR_NETWORK_CHANGED/.test(said)
    if (/^(?:error|warning)/.test(said) && !isPassing) watched.push(said)
  })
  page.on('pageerror', (error) => watched.push(`exception: ${error.stack ?? error.message}`))
  page.on('request', (request) => {
    const url = request.url()
    if (url.startsWith(`${gate.adminUrl}/`) || /^(?:blob|data):/.test(url)) return
    watched.push(`request to another host: ${url}`)
  })
}

async function newestSetup(): Promise<Setup> {
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const nginx = await findNginx({ world: 'newest', say })
  return { name: 'newest', nginx }
}

function findChromium(): string | null {
  const named = process.env['TOLLGATE_CHROMIUM']
  const usual = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  return [...(named ? [named] : []), ...usual].find((path) => existsSync(path)) ?? null
}
