import { afterEach, describe, expect, test } from 'vitest'
import { makeAdmin } from '../nginx/harness.ts'
import { watchLogs } from '../nginx/logs.ts'
import { goTo, hasBrowser, PATIENT, settled, withConsole } from './browser.ts'

watchLogs()

describe.skipIf(!hasBrowser)('logging in', PATIENT, () => {
  const writer = makeAdmin({ name: 'alice' })
  const reader = makeAdmin({ name: 'bob', role: 'read' })
  const ended = makeAdmin({ name: 'carol', expires: '2026-01-02T00:00:00Z' })
  const admins = [writer.record, reader.record, ended.record]
  const ui = withConsole({ policy: { version: 1, admins } })
  afterEach(() => ui.closePages())

  test.each([
    ['an empty field', '', /Paste your admin token/],
    ['the key of a client', 'tg_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MF', /key of a client/],
    ['something with a space', 'tga_ x', /no admin token/],
    ['a token that nobody has', makeAdmin().token, /does not know this token/],
    ['an expired token', ended.token, /expired or revoked/],
  ])('%s is refused with the reason beside the field', async (_, token, reason) => {
    const page = await ui.open()
    await page.getByLabel('Admin token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText(reason).waitFor()
    expect(await page.getByLabel('Admin token').getAttribute('aria-invalid')).toBe('true')
    ui.expected(/status of 401/)
  })

  test('the token is in no address, no cookie and no lasting store', async () => {
    const page = await ui.enter({ token: writer.token })
    await settled(page)
    const kept = await page.evaluate(() => [location.href, document.cookie, { ...localStorage }])
    expect(JSON.stringify(kept)).not.toContain(writer.token)
    await page.reload()
    await page.getByText('alice').waitFor()
  })

  test('logging out forgets the token, also when the page is loaded again', async () => {
    const page = await ui.enter({ token: writer.token })
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByText('You are logged out').waitFor()
    await page.reload()
    await page.getByLabel('Admin token').waitFor()
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
  })

  test('a token that is revoked meanwhile leads back here, and says why', async () => {
    const page = await ui.enter({ token: writer.token })
    await ui.gate.setPolicy({ version: 1, admins: [reader.record] })
    await page.getByText('the gate does not take your token any more').waitFor()
    await ui.gate.setPolicy({ version: 1, admins })
    ui.expected(/status of 401/)
  })

  test('who may only read sees everything, and why nothing can be changed', async () => {
    const page = await ui.enter({ token: reader.token, hash: 'clients' })
    const create = page.getByRole('button', { name: 'New client' }).first()
    expect(await create.getAttribute('aria-disabled')).toBe('true')
    expect(await create.getAttribute('title')).toContain('may only read')
    await create.click({ force: true })
    expect(await page.getByRole('dialog').count()).toBe(0)
    await page.getByRole('link', { name: 'app', exact: true }).click()
    await page.getByRole('heading', { name: 'Used and left' }).waitFor()
    expect(
      await page.getByRole('textbox', { name: 'Cost a month' }).getAttribute('readonly'),
    ).not.toBeNull()
    await goTo(page, 'policy')
    const policy = page.getByLabel('The policy as JSON')
    expect(await policy.getAttribute('readonly')).not.toBeNull()
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('No problem found').waitFor()
  })
})
