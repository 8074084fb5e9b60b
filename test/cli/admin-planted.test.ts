import { execFileSync } from 'node:child_process'
import {
  chmod,
  chown,
  lchown,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { replaceFile, writeAtomically } from '../../src/cli/store/atomic.ts'
import { withLock } from '../../src/cli/store/lock.ts'
import { tollgate } from './command.ts'

/** Neither root nor anybody who runs tests. */
const WORKER = 33
const CLIENTS = '{"version":1,"clients":{"app":{"keys":[]}}}'
const POLICY = '{"version":1,"plans":{"standard":{}}}'

vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>()
  return { ...crypto, randomBytes: (size: number) => Buffer.alloc(size, 7) }
})

let root = ''
let folders = 0
/** The configuration, in a folder that the workers may write, and a file that they may not. */
let dir = ''
let victim = ''
let before: unknown

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tollgate-planted-'))
  await chmod(root, 0o755)
})
afterAll(() => rm(root, { recursive: true, force: true }))
afterEach(() => void vi.useRealTimers())

beforeEach(async () => {
  folders++
  dir = join(root, `config-${folders}`)
  await mkdir(dir)
  await writeFile(join(dir, 'clients.json'), CLIENTS, { mode: 0o640 })
  await writeFile(join(dir, 'policy.json'), POLICY, { mode: 0o640 })
  victim = join(root, `victim-${folders}`)
  await writeFile(victim, CLIENTS, { mode: 0o600 })
  await utimes(victim, 1_700_000_000, 1_700_000_000)
  before = await describeVictim()
})

async function describeVictim() {
  const { uid, gid, mode, mtimeMs, ino } = await stat(victim)
  return { uid, gid, mode, mtimeMs, ino, text: await readFile(victim, 'utf8') }
}

async function expectUntouched() {
  expect(await describeVictim()).toEqual(before)
}

async function plant(name: string, target = victim) {
  await rm(join(dir, name), { recursive: true, force: true })
  await symlink(target, join(dir, name))
}

const folderKinds: [string, () => Promise<void>, string][] = [
  ['belongs to a worker', () => chown(dir, WORKER, WORKER), `belongs to user ${WORKER}`],
  [
    'is open to the group of the workers',
    async () => {
      await chown(dir, 0, WORKER)
      await chmod(dir, 0o2770)
    },
    `group ${WORKER} may write`,
  ],
  ['is open to everybody, as /tmp is', () => chmod(dir, 0o1777), 'everybody may write'],
]

const isRoot = process.getuid?.() === 0

describe.runIf(isRoot).each(folderKinds)('in a folder that %s, root', (_, open, reason) => {
  beforeEach(() => open())

  test.each([
    ['overwrite', 'clients.json', ['key', 'create', 'app']],
    ['overwrite', 'clients.json', ['client', 'disable', 'app']],
    ['overwrite', 'clients.json', ['check', '--write']],
    ['overwrite', 'policy.json', ['plan', 'set', 'gold', 'note=x']],
    ['read', 'clients.json', ['key', 'list']],
    ['read', 'policy.json', ['plan', 'list']],
  ])('does not %s through a planted %s: %j', async (_act, name, args) => {
    await plant(name)
    const { code, stdout, stderr } = await tollgate(...args, '--dir', dir)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`Will not follow the link ${join(dir, name)} to ${victim}`)
    expect(stderr).toContain(reason)
    await expectUntouched()
    expect(await readdir(dir)).toEqual(['clients.json', 'policy.json'])
  })

  test('does not make a file at the end of a link that leads nowhere', async () => {
    const nowhere = join(root, 'nowhere')
    await plant('policy.json', nowhere)
    await rm(join(dir, 'clients.json'))
    expect((await tollgate('key', 'create', 'app', '--dir', dir)).code).toBe(1)
    await expect(lstat(nowhere)).rejects.toThrow('ENOENT')
  })

  test('takes no link for a lock', async () => {
    const elsewhere = join(root, `folder-${folders}`)
    await mkdir(elsewhere)
    await utimes(elsewhere, 1_700_000_000, 1_700_000_000)
    await plant('clients.json.lock', elsewhere)
    const { code, stderr } = await tollgate('key', 'create', 'app', '--dir', dir)
    expect(code).toBe(1)
    expect(stderr).toContain('clients.json.lock is a link, so it is no lock')
    expect((await stat(elsewhere)).mtimeMs).toBe(1_700_000_000_000)
  })

  test('does not enter a folder by a planted link', async () => {
    const other = join(root, `other-${folders}`)
    await mkdir(other)
    await plant('sub', other)
    const { code, stderr } = await tollgate('key', 'create', 'app', '--dir', join(dir, 'sub'))
    expect(code).toBe(1)
    expect(stderr).toContain('Will not follow the link')
    expect(await readdir(other)).toEqual([])
  })

  test('does not wait at a pipe', async () => {
    await rm(join(dir, 'clients.json'))
    execFileSync('mkfifo', [join(dir, 'clients.json')])
    const { code, stderr } = await tollgate('key', 'list', '--dir', dir)
    expect(code).toBe(1)
    expect(stderr).toContain('clients.json is no file')
  })

  test('writes a new file where a second name of another one stands', async () => {
    await rm(join(dir, 'clients.json'))
    await link(victim, join(dir, 'clients.json'))
    expect((await tollgate('key', 'create', 'app', '--dir', dir)).code).toBe(0)
    await expectUntouched()
    expect((await lstat(join(dir, 'clients.json'))).ino).not.toBe((await stat(victim)).ino)
  })

  test('does its work where nothing is planted, and gives the file to the group', async () => {
    expect((await tollgate('key', 'create', 'app', '--dir', dir)).code).toBe(0)
    expect((await tollgate('plan', 'set', 'gold', 'note=x', '--dir', dir)).code).toBe(0)
    expect(await readdir(dir)).toEqual(['clients.json', 'policy.json'])
  })
})

describe('replaceFile', () => {
  const temporary = () => join(dir, `.clients.json.${'07'.repeat(8)}.tmp`)

  test('does not open a file or link that is there under the temporary name', async () => {
    await symlink(victim, temporary())
    const written = writeAtomically(join(dir, 'clients.json'), 'new')
    await expect(written).rejects.toThrow('EEXIST')
    await expectUntouched()
    expect(await readFile(join(dir, 'clients.json'), 'utf8')).toBe(CLIENTS)
  })

  test('changes owner and mode of what it has opened, also when a link takes its place', async () => {
    await replaceFile(join(dir, 'clients.json'), async (handle) => {
      await rename(temporary(), join(root, `moved-${folders}`))
      await symlink(victim, temporary())
      await handle.writeFile('new')
      await handle.chmod(0o666)
    })
    await expectUntouched()
    expect((await stat(join(root, `moved-${folders}`))).mode & 0o777).toBe(0o666)
  })
})

describe('withLock', () => {
  test('touches no file by a link that has taken the place of its lock', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const lock = join(dir, 'clients.json.lock')
    let isLost = false
    await withLock(join(dir, 'clients.json'), async (assertHeld) => {
      const { mtime } = await stat(lock)
      await rm(lock, { recursive: true })
      await symlink(victim, lock)
      await utimes(victim, mtime, mtime)
      before = await describeVictim()
      vi.advanceTimersByTime(5_000)
      while (!isLost) {
        await turn()
        try {
          assertHeld()
        } catch {
          isLost = true
        }
      }
    })
    await expectUntouched()
  })
})

describe('a link', () => {
  test.runIf(isRoot)('of somebody else is not followed when its folder is closed', async () => {
    await plant('clients.json')
    await lchown(join(dir, 'clients.json'), WORKER, WORKER)
    const { code, stderr } = await tollgate('key', 'create', 'app', '--dir', dir)
    expect(code).toBe(1)
    expect(stderr).toContain(`the link belongs to user ${WORKER}`)
    await expectUntouched()
  })

  test('that nobody else could have made is followed, and stays', async () => {
    const own = join(root, `own-${folders}`)
    await mkdir(own)
    await symlink(join(dir, 'clients.json'), join(own, 'clients.json'))
    await symlink(`../config-${folders}/policy.json`, join(own, 'policy.json'))
    expect((await tollgate('key', 'create', 'new', '--dir', own)).code).toBe(0)
    expect((await lstat(join(own, 'clients.json'))).isSymbolicLink()).toBe(true)
    expect(await readFile(join(dir, 'clients.json'), 'utf8')).toContain('"new"')
  })
})
