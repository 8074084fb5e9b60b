import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const ARCHITECTURE = 'ARCHITECTURE.md'

/** Houses that have rooms; each other folder of src/ is a room by itself. */
const HOUSES = ['core', 'edge', 'cli']

/** Where a file may stand that a page names, besides beside the page itself. */
const PLACES = ['.', 'src', 'nginx/tollgate']

/** Endings of files that somebody has written. Others, such as `balance.json`, are made as it runs. */
const WRITTEN = /\.(?:tsx?|mjs|conf|grit|md)$/

/** What stands on the disk of those who run it, and not here. */
const FOREIGN = ['nginx.conf']

const LINES_MIN = 5
const LINES_MAX = 40

const folders = (path: string) =>
  readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${path}/${name}`)

const rooms = folders('src').flatMap((path) =>
  HOUSES.includes(path.slice(4)) ? [path, ...folders(path)] : [path],
)
const isPage = (path: string) => existsSync(join(ROOT, path))
const pages = [ARCHITECTURE, ...rooms.map((room) => `${room}/README.md`).filter(isPage)]
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

test.each(rooms)('%s has a README of some lines', (room) => {
  expect(isPage(`${room}/README.md`)).toBe(true)
  const lines = read(`${room}/README.md`).trimEnd().split('\n').length
  expect(lines).toBeGreaterThanOrEqual(LINES_MIN)
  expect(lines).toBeLessThanOrEqual(LINES_MAX)
})

test('ARCHITECTURE.md has a line for every room, and for no other', () => {
  const named = listLinks(read(ARCHITECTURE)).filter((path) => path.startsWith('src/'))
  const all = rooms.map((room) => `${room}/README.md`)
  expect([...new Set(named)].sort()).toEqual(all.sort())
})

describe.each(pages)('%s', (page) => {
  const text = read(page)

  test('links to what is there', () => {
    const dead = listLinks(text).filter((path) => !existsSync(join(ROOT, dirname(page), path)))
    expect(dead).toEqual([])
  })

  test('names files, folders and functions that are there', () => {
    expect(findMissing(page, text)).toEqual([])
  })
})

test('the table of shared memory has every zone, and no other', () => {
  const rows = [...read('src/edge/README.md').matchAll(/^\| `(tollgate_\w+)` \|/gm)]
  const zones = readdirSync(join(ROOT, 'nginx/tollgate')).flatMap((name) =>
    [...read(`nginx/tollgate/${name}`).matchAll(/^js_shared_dict_zone zone=(\w+):/gm)].map(nameOf),
  )
  expect(rows.map(nameOf).sort()).toEqual(zones.sort())
})

describe('findMissing', () => {
  test.each([
    ['a file of the room', 'see `claims.ts`', ['claims.ts']],
    ['a file of another room', 'see `core/limits/claims.ts`', ['core/limits/claims.ts']],
    [
      'a file of two words',
      '`edge/gate/doors.ts` and `door.ts`',
      ['edge/gate/doors.ts', 'door.ts'],
    ],
    ['a folder', 'in `core/limit/`', ['core/limit/']],
    ['an include', 'by `gates.conf`', ['gates.conf']],
    ['a function', '`settleHold()` and `settleHolds()`', ['settleHolds()']],
    ['a picture', '```\ngate.conf  settles()\ngates.conf\n```', ['gates.conf', 'settles()']],
  ])('finds %s that is not there', (_, text, missing) => {
    expect(findMissing('src/core/limits/README.md', text)).toEqual(missing)
  })

  test.each([
    ['a file of the room', '`claim.ts`'],
    ['a file by the way of imports', '`core/limits/claim.ts`'],
    ['an include', '`http.conf`'],
    ['what is made as it runs', '`balance.json`, `dist/tollgate.js`, `/tollgate-failed`'],
    ['a function of another room', '`foldLines()`'],
    ['what is no code', 'claims.ts and settles()'],
  ])('takes %s', (_, text) => {
    expect(findMissing('src/core/limits/README.md', text)).toEqual([])
  })
})

/** Paths behind links, without the place in the page. */
function listLinks(text: string): string[] {
  return [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
    .map(nameOf)
    .filter((path) => !/^\w+:/.test(path))
}

/** What code and pictures of a page name, and is not there. */
function findMissing(page: string, text: string): string[] {
  const words = listCode(text).flatMap((code) => code.match(/[\w$@/.-]+(?:\(\))?/g) ?? [])
  const files = words.filter((word) => isFile(word) && !isThere(page, word))
  const calls = words.filter((word) => /^\w+\(\)$/.test(word) && !functions().has(word))
  return [...files, ...calls]
}

/** The texts between backticks, and pictures as they stand. */
function listCode(text: string): string[] {
  const pictures = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map(nameOf)
  const rest = text.replace(/^```\w*\n[\s\S]*?^```/gm, '')
  return [...pictures, ...[...rest.matchAll(/`([^`]+)`/g)].map(nameOf)]
}

function isFile(word: string): boolean {
  if (word.startsWith('/') || FOREIGN.includes(word)) return false
  return WRITTEN.test(word) || /^[\w-]+(?:\/[\w-]+)*\/$/.test(word)
}

function isThere(page: string, path: string): boolean {
  return [dirname(page), ...PLACES].some((place) => existsSync(join(ROOT, place, path)))
}

let declared: Set<string> | undefined

/** Every function of src/ as pages write it: `settle()`. */
function functions(): Set<string> {
  declared ??= new Set(
    readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name))
      .flatMap((name) => [
        ...read(join('src', name)).matchAll(/^(?:export )?(?:async )?function (\w+)/gm),
      ])
      .map((match) => `${match[1]}()`),
  )
  return declared
}

function nameOf(match: RegExpMatchArray): string {
  return match[1] ?? ''
}
