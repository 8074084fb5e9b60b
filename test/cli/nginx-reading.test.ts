import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mountInto } from '../../src/cli/nginx/docker.ts'
import { readModuleFolders } from '../../src/cli/nginx/local.ts'
import {
  chooseMirror,
  readDistribution,
  readList,
  readStanzas,
} from '../../src/cli/nginx/mirror.ts'
import { readReason } from '../../src/cli/nginx/throwaway.ts'
import { chooseEngine, compareVersions, findVersionProblem } from '../../src/cli/nginx/versions.ts'

describe('versions', () => {
  test.each([
    ['an older patch', '0.8.2', '0.8.9', -1],
    ['numbers, not letters', '0.8.10', '0.8.9', 1],
    ['equal with a missing part', '1.0', '1.0.0', 0],
    ['a packaging suffix is ignored', '1.0.2-2', '1.0.2', 0],
  ])('compareVersions: %s', (_, a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign)
  })

  test.each([
    ['Debian 12', '0.7.9', 'older than 0.8.2'],
    ['one before the first', '0.8.1', 'older than 0.8.2'],
    ['the first, in Ubuntu 24.04', '0.8.2', null],
    ['the last before the memory bug', '0.8.5', null],
    ['the first with the memory bug', '0.8.6', 'memory'],
    ['the last with the memory bug', '0.8.8', 'memory'],
    ['Debian 13', '0.8.9', null],
    ['the access log bug', '0.9.2', 'freed memory'],
    ['the broken import', '0.9.7', 'import crypto'],
    ['the newest', '1.0.2', null],
  ])('findVersionProblem: %s', (_, version, problem) => {
    const found = findVersionProblem(version)
    if (problem === null) expect(found).toBeNull()
    else expect(found).toContain(problem)
  })

  test.each([
    ['without QuickJS', '1.0.2', false, 'njs'],
    ['QuickJS before its pool was mended is left alone', '1.0.0', true, 'njs'],
    ['QuickJS with a pool that is mended', '1.0.1', true, 'qjs'],
  ] as const)('chooseEngine: %s', (_, njsVersion, hasQuickJs, engine) => {
    expect(chooseEngine(njsVersion, hasQuickJs)).toBe(engine)
  })
})

describe('mirrors', () => {
  const own = { suites: ['bookworm'], components: ['main'] }

  test('readList reads options, comments and several components', () => {
    const text =
      '# deb http://a.example/debian bookworm main\n' +
      'deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://b.example/debian bookworm main contrib # note\n' +
      'deb-src http://c.example/debian bookworm main\n'
    expect(readList(text)).toEqual([
      {
        uris: ['http://b.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: '/k/debian-archive-keyring.gpg',
      },
    ])
  })

  test('readStanzas skips comments, sources and what is not enabled', () => {
    const text =
      'Types: deb deb-src\n# a comment\nURIs: http://a.example/debian\nSuites: trixie\n  trixie-updates\nComponents: main\n' +
      '\nTypes: deb\nEnabled: no\nURIs: http://b.example/debian\nSuites: trixie\nComponents: main\n' +
      '\nTypes: deb-src\nURIs: http://c.example/debian\nSuites: trixie\nComponents: main\n'
    expect(readStanzas(text)).toEqual([
      {
        uris: ['http://a.example/debian'],
        suites: ['trixie', 'trixie-updates'],
        components: ['main'],
        signedBy: '',
      },
    ])
  })

  test('chooseMirror prefers the distribution over others that use its suite names', () => {
    const other = { ...own, uris: ['http://apt.example/tools'], signedBy: '' }
    const plain = { ...own, uris: ['http://mirror.example/debian/'], signedBy: '' }
    const signed = {
      ...own,
      uris: ['http://inside.example/d'],
      signedBy: '/k/debian-archive-keyring.gpg',
    }
    expect(chooseMirror([other, plain], 'Debian', 'trixie')).toBe('http://mirror.example/debian/')
    expect(chooseMirror([other, plain, signed], 'Debian', 'trixie')).toBe('http://inside.example/d')
  })

  test('chooseMirror finds none among security updates, discs and other distributions', () => {
    const security = { ...own, suites: ['bookworm-security'], uris: ['http://s'], signedBy: '' }
    const disc = { ...own, uris: ['cdrom:[Debian'], signedBy: '' }
    const ubuntu = { ...own, suites: ['noble'], uris: ['http://u.example/ubuntu'], signedBy: '' }
    expect(chooseMirror([security, disc, ubuntu], 'Debian', 'forky')).toBeNull()
    expect(chooseMirror([ubuntu], 'Ubuntu', 'noble')).toBe('http://u.example/ubuntu')
  })

  test.each([
    ['Debian', 'ID=debian\nVERSION_CODENAME=trixie\n', 'debian-trixie'],
    ['Ubuntu', 'ID=ubuntu\nVERSION_ID="24.04"\nUBUNTU_CODENAME=noble\n', 'ubuntu-24.04'],
    ['made from Ubuntu', 'ID=mint\nVERSION_ID="22"\nUBUNTU_CODENAME=noble\n', 'ubuntu-noble'],
    ['neither', 'ID=fedora\nVERSION_ID=43\n', undefined],
  ])('readDistribution: %s', async (_, text, name) => {
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-os-'))
    const file = join(folder, 'os-release')
    await writeFile(file, text)
    const distribution = await readDistribution(file)
    await rm(folder, { recursive: true })
    expect(distribution?.name).toBe(name)
  })
})

describe('nginx output', () => {
  test.each([
    [
      'named',
      '--prefix=/usr/share/nginx --modules-path=/usr/lib/nginx/modules',
      '/usr/lib/nginx/modules',
    ],
    ['relative to the prefix', '--prefix=/opt/nginx --with-compat', '/opt/nginx/modules'],
    ['nginx without any flag', '', '/usr/local/nginx/modules'],
  ])('readModuleFolders: %s', (_, output, expected) => {
    expect(readModuleFolders(output)).toEqual([expected])
  })

  test('readReason leaves out the place, which is a folder that is gone', () => {
    const text = 'nginx: [emerg] module "/m.so" version 1 instead of 2 in /tmp/x/nginx.conf:1\n'
    expect(readReason(text)).toBe('module "/m.so" version 1 instead of 2')
    expect(
      readReason('nginx: [emerg] unknown directive "js_import" in /tmp/x/nginx.conf:7\n'),
    ).toBe('it has no njs module')
    expect(readReason('')).toBeNull()
  })

  test('mountInto puts mounts before the image', () => {
    const command = ['docker', 'run', '--rm', 'image']
    expect(mountInto(command, ['/a'])).toEqual([
      'docker',
      'run',
      '--rm',
      '--volume',
      '/a:/a',
      'image',
    ])
  })
})
