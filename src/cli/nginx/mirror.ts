import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './child.ts'

/** A distribution whose packages can be unpacked. */
export type Origin = 'Debian' | 'Ubuntu'
/** What this machine runs: `name` is 'ubuntu-24.04' or the like. */
export type Distribution = { origin: Origin; codename: string; name: string }
/** One line or stanza of apt's configuration, reduced to what matters here. */
export type Source = { uris: string[]; suites: string[]; components: string[]; signedBy: string }

// Any of these in a source tells that all suites are at its address, the wanted one included.
const DEBIAN_SUITES = [
  ...['stable', 'testing', 'unstable', 'sid', 'oldstable', 'oldoldstable'],
  ...['bullseye', 'bookworm', 'trixie', 'forky', 'duke'],
]
const ETC_APT = '/etc/apt'

/** Reads /etc/os-release; null on a system that is neither Debian nor Ubuntu nor made from one. */
export async function readDistribution(file = '/etc/os-release'): Promise<Distribution | null> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
  const ubuntu = field('UBUNTU_CODENAME')
  if (ubuntu !== '') {
    const name = field('ID') === 'ubuntu' ? field('VERSION_ID') : ubuntu
    return { origin: 'Ubuntu', codename: ubuntu, name: `ubuntu-${name}` }
  }
  const isDebian = `${field('ID')} ${field('ID_LIKE')}`.split(' ').includes('debian')
  const codename = field('DEBIAN_CODENAME') || field('VERSION_CODENAME')
  return isDebian ? { origin: 'Debian', codename, name: `debian-${codename}` } : null
}

/**
 * The address this machine fetches a distribution's packages from, or null. TOLLGATE_DEBIAN_MIRROR
 * comes first, then what apt has downloaded an index of, then what apt is configured for, which is
 * all there is in a fresh container.
 */
export async function findMirror(origin: Origin, codename: string): Promise<string | null> {
  const named = process.env.TOLLGATE_DEBIAN_MIRROR
  if (origin === 'Debian' && named) return named
  return (await findIndexed(origin)) ?? chooseMirror(await readSources(), origin, codename)
}

async function findIndexed(origin: Origin): Promise<string | null> {
  const format = '$(ORIGIN)|$(CREATED_BY)|$(SUITE)|$(REPO_URI)'
  const listed = await run(['apt-get', 'indextargets', '--format', format], { timeoutMs: 20_000 })
  for (const line of listed.stdout.split('\n')) {
    const [from, kind, suite = '', uri = ''] = line.split('|')
    if (from !== origin || kind !== 'Packages') continue
    // Security updates live at an address of their own, which has no other suites.
    if (!/security|backports/.test(suite) && isFetchable(uri)) return uri
  }
  return null
}

/** The likeliest address of a distribution among apt's configured sources, or null. */
export function chooseMirror(
  sources: readonly Source[],
  origin: Origin,
  codename: string,
): string | null {
  const suites = origin === 'Debian' ? [codename, ...DEBIAN_SUITES] : [codename]
  const isCandidate = (source: Source) =>
    source.components.includes('main') && source.suites.some((suite) => suites.includes(suite))
  const ranked = sources
    .filter(isCandidate)
    .flatMap((source) => source.uris.map((uri) => ({ uri, rank: rankOf(source, uri, origin) })))
    .filter(({ uri }) => isFetchable(uri))
    .sort((a, b) => b.rank - a.rank)
  return ranked[0]?.uri ?? null
}

// Other repositories use the distribution's suite names too; its own keyring tells best.
function rankOf(source: Source, uri: string, origin: Origin): number {
  const name = origin.toLowerCase()
  if (source.signedBy.includes(`${name}-archive-keyring`)) return 2
  return new RegExp(`/${name}(-ports)?/?$`).test(uri) ? 1 : 0
}

function isFetchable(uri: string): boolean {
  return uri !== '' && !uri.startsWith('cdrom:')
}

async function readSources(): Promise<Source[]> {
  const folder = join(ETC_APT, 'sources.list.d')
  const names = (await readdir(folder).catch(() => [])).sort()
  const files = [join(ETC_APT, 'sources.list'), ...names.map((name) => join(folder, name))]
  const sources: Source[] = []
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (file.endsWith('.list')) sources.push(...readList(text))
    if (file.endsWith('.sources')) sources.push(...readStanzas(text))
  }
  return sources
}

/** Reads apt's one-line format. */
export function readList(text: string): Source[] {
  const lines = text.matchAll(/^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#\n]*)/gm)
  return [...lines].map(([, options = '', uri = '', suite = '', components = '']) => ({
    uris: [uri],
    suites: [suite],
    components: words(components),
    signedBy: /signed-by=(\S+)/i.exec(options)?.[1] ?? '',
  }))
}

/** Reads apt's deb822 format: stanzas of fields, where an indented line continues a field. */
export function readStanzas(text: string): Source[] {
  const sources: Source[] = []
  for (const stanza of text.replace(/^#.*\n?/gm, '').split(/\n\s*\n/)) {
    const field = (name: string) =>
      new RegExp(`^${name}:((?:.*)(?:\\n[ \\t].*)*)`, 'im').exec(stanza)?.[1]?.trim() ?? ''
    if (!words(field('Types')).includes('deb') || field('Enabled').toLowerCase() === 'no') continue
    sources.push({
      uris: words(field('URIs')),
      suites: words(field('Suites')),
      components: words(field('Components')),
      signedBy: field('Signed-By'),
    })
  }
  return sources
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}
