import { appendFile, chmod, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { caller, expectProblem, read } from './adminapi.ts'
import { CHAT, messages } from './clients.ts'
import { edit } from './edit.ts'
import { type Gate, makeAdmin, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'

type Shown = { id: string; client?: string; outcome: string }
type Page = { requests: Shown[]; next: string; isMore: boolean; skipped: number }

watchLogs()

/** A line as nginx writes it; `fill` makes it longer. */
function line(id: string, fields: object = {}, fill = 0): string {
  const known = { version: 1, time: new Date().toISOString(), id, outcome: 'ok', status: 200 }
  return `${JSON.stringify({ ...known, client: 'app', ...fields, model: 'm'.repeat(fill) })}\n`
}

const linesOf = (from: number, to: number, fields: object = {}, fill = 0) =>
  Array.from({ length: to - from }, (_, at) => line(`l${from + at}`, fields, fill)).join('')

const idsOf = ({ requests }: Page) => requests.map(({ id }) => id)
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `l${from + at}`)

describe.each(await findEngines())('$name: GET /requests', (setup) => {
  const reader = makeAdmin({ role: 'read' })

  async function start(options: Parameters<typeof startGate>[1] = {}) {
    const policy = { version: 1 as const, admins: [reader.record] }
    const gate = await startGate(setup, { workers: 2, policy, ...options })
    const { admin: send } = gate
    gate.admin = (path, init) => send(path, { token: reader.token, ...init })
    const call = caller(gate)
    const ledger = join(gate.stateDir, 'ledger.jsonl')
    const ask = async (query = ''): Promise<Page> => {
      const response = await call(`GET /requests?${query}`)
      expect(response.status).toBe(200)
      return read(response)
    }
    return { gate, call, ledger, ask }
  }

  describe('of a ledger', () => {
    let gate: Gate
    let call: ReturnType<typeof caller>
    let ask: (query?: string) => Promise<Page>
    let ledger: string
    beforeAll(async () => {
      ;({ gate, call, ask, ledger } = await start())
    })
    afterAll(() => gate.stop())

    test('tells nothing while there is none, and then what comes', async () => {
      const first = await ask()
      expect(first).toMatchObject({ requests: [], isMore: false, skipped: 0 })
      const answer = await gate.call(CHAT, { body: JSON.stringify({ messages }) })
      await answer.text()
      const [written] = await gate.ledger(1)
      const { requests, next } = await ask(`after=${first.next}`)
      expect(requests).toEqual([written])
      expect(requests).toMatchObject([{ id: answer.headers.get('x-request-id'), route: 'chat' }])
      expect(await ask(`after=${next}`)).toMatchObject({ requests: [], next, isMore: false })
      expect((await ask()).requests).toEqual([written])
    })

    test('tells lines of both versions alike: in UTC and to the millisecond', async () => {
      const { next } = await ask('limit=1')
      const first = { time: '2026-11-25T09:14:02.317Z' }
      const second = { version: 2, time: '2026-11-25T17:14:02+08:00', at: 1795598042.317 }
      await appendFile(ledger, line('v1', first) + line('v2', second))
      const { requests, skipped } = await ask(`after=${next}`)
      expect(requests).toMatchObject([
        { version: 1, id: 'v1', ...first },
        { version: 2, id: 'v2', ...first },
      ])
      expect(requests[1]).not.toHaveProperty('at')
      expect(skipped).toBe(0)
    })

    test('tells the last ones, in the order of the ledger', async () => {
      await appendFile(ledger, linesOf(0, 600))
      expect(idsOf(await ask())).toEqual(numbers(550, 600))
      expect(idsOf(await ask('limit=3'))).toEqual(numbers(597, 600))
      expect(idsOf(await ask('limit=500'))).toEqual(numbers(100, 600))
      const { next } = await ask('limit=1')
      await appendFile(ledger, linesOf(600, 1300))
      const some = await ask(`limit=500&after=${next}`)
      expect(idsOf(some)).toEqual(numbers(600, 1100))
      expect(some.isMore).toBe(true)
      const rest = await ask(`limit=500&after=${some.next}`)
      expect(idsOf(rest)).toEqual(numbers(1100, 1300))
      expect(rest.isMore).toBe(false)
    })

    test('finds those of a client, and with an outcome', async () => {
      const { next } = await ask('limit=1')
      const refused = { client: 'web', outcome: 'rate_limited' }
      const lines = [
        line('a', { client: 'web' }),
        line('b', refused),
        line('c'),
        line('d', refused),
      ]
      await appendFile(ledger, [...lines, line('e', { ...refused, client: '模型' })].join(''))
      const ids = async (query: string) => idsOf(await ask(query))
      expect(await ids('client=web')).toEqual(['a', 'b', 'd'])
      expect(await ids('client=web&limit=2')).toEqual(['b', 'd'])
      expect(await ids('outcome=rate_limited')).toEqual(['b', 'd', 'e'])
      expect(await ids(`client=${encodeURIComponent('模型')}`)).toEqual(['e'])
      expect(await ids(`after=${next}&outcome=ok`)).toEqual(['a', 'c'])
      const first = await ask(`after=${next}&client=web&limit=1`)
      expect(idsOf(first)).toEqual(['a'])
      expect(await ids(`after=${first.next}&client=web`)).toEqual(['b', 'd'])
      expect(await ids('client=nobody')).toEqual([])
    })

    test('leaves out a last line that is not whole, and tells of those that cannot be read', async () => {
      const { next } = await ask('limit=1')
      const last = line('whole')
      await appendFile(ledger, `{"version":1,"ti\n\n${line('one')}${last.slice(0, 40)}`)
      const page = await ask(`after=${next}`)
      expect(page).toMatchObject({ skipped: 2, isMore: false })
      expect(idsOf(page)).toEqual(['one'])
      await appendFile(ledger, last.slice(40))
      // What a full disk has left, in bytes that are no text, with a line behind it.
      const torn = Buffer.concat([Buffer.from('{"a":"'), Buffer.from('€').subarray(0, 2)])
      await appendFile(ledger, Buffer.concat([torn, Buffer.from(line('behind') + line('last'))]))
      const first = await ask(`after=${page.next}&limit=2`)
      expect(idsOf(first)).toEqual(['whole', 'behind'])
      expect(idsOf(await ask(`after=${first.next}`))).toEqual(['last'])
    })

    test.each(['x', 'none', 'none-0.none-0', `${'a'.repeat(64)}`, `${'a'.repeat(64)}--1`, '%00'])(
      'refuses %s as what an answer told',
      async (after) => {
        await expectProblem(await call(`GET /requests?after=${after}`), 400, 'bad-parameter')
      },
    )

    test('refuses limits that are none, and who has no token', async () => {
      for (const limit of ['0', '501', 'x', '']) {
        await expectProblem(await call(`GET /requests?limit=${limit}`), 400, 'bad-parameter')
      }
      const without = await gate.admin('/requests', { token: null })
      await expectProblem(without, 401, 'unauthorized')
    })
  })

  test('goes on over a rotation, and loses nothing of the old file', async () => {
    const { gate, ledger, ask } = await start()
    onTestFinished(() => gate.stop())
    await appendFile(ledger, linesOf(0, 3))
    let { next } = await ask()
    const ids: string[] = []
    const follow = async () => {
      const page = await ask(`after=${next}`)
      ids.push(...idsOf(page))
      next = page.next
    }
    await appendFile(ledger, linesOf(3, 5))
    await rename(ledger, `${ledger}.1`)
    await follow()
    // A worker that has not opened the new file yet.
    await appendFile(`${ledger}.1`, linesOf(5, 6))
    gate.signal('SIGUSR1')
    await until('the new file', async () => (await readFile(ledger).catch(() => null)) !== null)
    await follow()
    await appendFile(ledger, linesOf(10, 12))
    await follow()
    await appendFile(`${ledger}.1`, linesOf(6, 7))
    await appendFile(ledger, linesOf(12, 13))
    await follow()
    await follow()
    expect(ids).toEqual(['l3', 'l4', 'l5', 'l10', 'l11', 'l6', 'l12'])
    // Rotated once more, and the oldest is gone: what is there goes on.
    await rm(`${ledger}.1`)
    await rename(ledger, `${ledger}.1`)
    await writeFile(ledger, linesOf(20, 22))
    await follow()
    expect(ids.slice(7)).toEqual(['l20', 'l21'])
    expect(idsOf(await ask())).toEqual(['l20', 'l21'])
  })

  test('begins again in a ledger that was emptied', async () => {
    const { gate, ledger, ask } = await start()
    onTestFinished(() => gate.stop())
    await appendFile(ledger, linesOf(0, 3))
    const { next } = await ask()
    await truncate(ledger)
    const page = await ask(`after=${next}`)
    expect(page.requests).toEqual([])
    await appendFile(ledger, linesOf(5, 6))
    expect(idsOf(await ask(`after=${page.next}`))).toEqual(['l5'])
  })

  test('reads 1 MB at once, and all of a large ledger in several calls', async () => {
    const { gate, ledger, ask } = await start()
    onTestFinished(() => gate.stop())
    await appendFile(ledger, line('first'))
    let page = await ask()
    // 4,000 lines of 1 KB and more, and one that is longer than a portion.
    const rare = { client: 'rare', outcome: 'gate_error' }
    const text = [
      linesOf(0, 2000, {}, 1000),
      line('rare', rare, 100_000),
      linesOf(2000, 4000, {}, 1000),
    ]
    await appendFile(ledger, text.join(''))
    expect(idsOf(await ask('limit=2'))).toEqual(['l3998', 'l3999'])
    // Further back than what is looked through.
    expect(idsOf(await ask('client=rare'))).toEqual([])
    const ids: string[] = []
    const found: string[] = []
    let calls = 0
    let search = page
    do {
      page = await ask(`limit=500&after=${page.next}`)
      ids.push(...idsOf(page))
    } while (page.isMore)
    do {
      search = await ask(`client=rare&after=${search.next}`)
      found.push(...idsOf(search))
      calls++
    } while (search.isMore)
    expect(ids).toEqual([...numbers(0, 2000), 'rare', ...numbers(2000, 4000)])
    expect(found).toEqual(['rare'])
    expect(calls).toBeGreaterThan(3)
  })

  test.runIf(process.getuid?.() === 0)(
    'tells which file its workers cannot read, with the fix',
    async () => {
      const { gate, ledger, call } = await start({
        async prepare(root) {
          await edit(join(root, 'nginx.conf'), 'user root;', 'user nobody nogroup;')
          await chmod(root, 0o755)
          for (const path of [join(root, 'state', 'state'), join(root, 'run')]) {
            await chmod(path, 0o777)
          }
        },
      })
      onTestFinished(() => gate.stop())
      // The housekeeping cannot add it up either.
      gate.expectErrors(/Cannot add up/)
      await appendFile(ledger, line('a'))
      expect((await call('GET /requests')).status).toBe(200)
      await chmod(ledger, 0o600)
      const { detail } = await expectProblem(await call('GET /requests'), 500, 'cannot-read')
      expect(detail).toContain(`Cannot read ${ledger} (EACCES)`)
      expect(detail).toContain('owner and mode')
    },
  )
})
