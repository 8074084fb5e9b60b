import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { packageDir } from '../../src/cli/install/layout.ts'
import { until } from '../nginx/harness.ts'
import { goTo, hasBrowser, settled, withConsole } from './browser.ts'
import { isCounted, makeScene, startTraffic } from './scene.ts'

const DIR = join(packageDir(), 'docs', 'images')
/** The chart of the last minutes says something when it has so many looks. */
const LOOKS = 75

/** The pictures of the README: made anew by `npm run pictures`, never by the tests. */
const isWanted = hasBrowser && process.env['TOLLGATE_PICTURES'] === '1'

describe.skipIf(!isWanted)('pictures', () => {
  const scene = makeScene()
  const ui = withConsole(scene.options)
  let traffic: { stop(): Promise<void> }
  beforeAll(async () => {
    if (!isWanted) return
    traffic = startTraffic(ui.gate, scene)
    await isCounted(ui.gate, scene)
  })
  afterAll(() => traffic?.stop())

  test('of what runs now, and of the clients', { timeout: 240_000 }, async () => {
    await mkdir(DIR, { recursive: true })
    const page = await ui.enter({ token: scene.token, width: 1200, height: 800 })
    let looks = 0
    page.on('response', (response) => {
      if (response.url().endsWith('/running')) looks++
    })
    await until('the chart to fill', () => looks >= LOOKS, 200)
    await page.screenshot({ path: join(DIR, 'console-now.png') })
    await goTo(page, 'clients')
    await settled(page)
    await page.setViewportSize({ width: 1200, height: 560 })
    await page.screenshot({ path: join(DIR, 'console-clients.png') })
  })
})
