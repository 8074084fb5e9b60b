import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Attempt, startAndAsk } from './throwaway.ts'
import { chooseEngine, findVersionProblem, type Versions } from './versions.ts'

/** An nginx to try: how it is started when `folder` must be visible to it, and where its njs may be. */
export type Candidate = {
  launch: (folder: string) => string[]
  modules: (string | null)[]
}

/** What a probe found, or why the candidate cannot carry the gate. */
export type Probed =
  | ({ isUsable: true; loadModule: string | null } & Versions)
  | { isUsable: false; reason: string }

const SOCKET_NAME = 'probe.sock'
// sun_path of a UNIX socket holds 108 bytes, the last of which is zero.
const SOCKET_PATH_BYTES_MAX = 107

/**
 * Starts a throwaway nginx and asks it for its versions, because no flag of nginx prints that of
 * njs. It also computes a SHA-256, as the gate does for each request, so an njs that cannot is
 * found here.
 */
export async function probe(candidate: Candidate): Promise<Probed> {
  let firstReason: string | undefined
  for (const loadModule of candidate.modules) {
    const probed = await probeModule(candidate, loadModule)
    if (probed.isUsable) return probed
    // The first module is the one the binary itself names, so its failure tells most.
    firstReason ??= probed.reason
  }
  return { isUsable: false, reason: firstReason ?? 'it has no njs module' }
}

async function probeModule(candidate: Candidate, loadModule: string | null): Promise<Probed> {
  const quick = await ask(candidate, loadModule, 'js_engine qjs;')
  const hasQuickJs = 'answer' in quick && chooseEngine(quick.answer.njs, true) === 'qjs'
  const attempt = hasQuickJs ? quick : await ask(candidate, loadModule, '')
  if ('reason' in attempt) return { isUsable: false, reason: attempt.reason }
  const { nginx, njs, digest } = attempt.answer
  const reason = findVersionProblem(njs) ?? findDigestProblem(njs, digest)
  if (reason !== null) return { isUsable: false, reason }
  const engine = chooseEngine(njs, hasQuickJs)
  return { isUsable: true, loadModule, nginxVersion: nginx, njsVersion: njs, engine }
}

function findDigestProblem(njsVersion: string, digest: string): string | null {
  const expected = createHash('sha256').update('tollgate').digest('hex')
  return digest === expected ? null : `njs ${njsVersion} computes a wrong SHA-256`
}

async function ask(
  candidate: Candidate,
  loadModule: string | null,
  engine: string,
): Promise<Attempt> {
  const folder = await makeSocketFolder()
  try {
    await writeFile(join(folder, 'nginx.conf'), configuration(folder, loadModule, engine))
    await writeFile(join(folder, 'probe.js'), MODULE)
    return await startAndAsk(candidate.launch(folder), folder, join(folder, SOCKET_NAME))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeSocketFolder(): Promise<string> {
  const name = 'tollgate-probe-'
  const longest = join(tmpdir(), `${name}XXXXXX`, SOCKET_NAME)
  return mkdtemp(join(Buffer.byteLength(longest) > SOCKET_PATH_BYTES_MAX ? '/tmp' : tmpdir(), name))
}

// One process without a master: nothing is left behind when it is killed. Every path that was
// compiled in is overridden, because those of an unpacked nginx do not exist here.
function configuration(folder: string, loadModule: string | null, engine: string): string {
  const load = loadModule === null ? '' : `load_module "${loadModule}";`
  // As root, nginx looks the compiled-in user up, who may not exist here. Others may not set it.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `${load} ${user}
daemon off; master_process off; pid nginx.pid;
events {}
http {
  ${engine}
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
  js_import probe from probe.js;
  server { listen "unix:${join(folder, SOCKET_NAME)}"; location / { js_content probe.answer; } }
}
`
}

// Written for the oldest njs, which knows neither default parameters nor destructuring.
const MODULE = `import crypto from 'crypto';
function answer(r) {
  var digest = crypto.createHash('sha256').update('tollgate').digest('hex');
  r.return(200, JSON.stringify({ nginx: r.variables.nginx_version, njs: njs.version, digest: digest }));
}
export default { answer };
`
