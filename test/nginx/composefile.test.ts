import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { packageDir } from '../../src/cli/install/layout.ts'
import { findPrometheus, runTool } from './prometheus.ts'

// What of docker-compose.yml can be known without an engine. compose.test.ts starts it, without Grafana.

type Service = {
  image: string
  environment?: Record<string, string>
  ports?: { target: number; published: string; host_ip: string }[]
  volumes?: { type: string; source: string; target: string }[]
}

type Variable = { name: string; type: string; query: string; current: { value: string } }

const OBSERVABILITY = join(packageDir(), 'nginx', 'observability')
const read = (name: string) => readFile(join(OBSERVABILITY, name), 'utf8')

let services: Record<string, Service>
let all: Record<string, Service>

beforeAll(async () => {
  const { compose } = await findPrometheus()
  const parse = async (...profiles: string[]) => {
    const file = ['-f', join(packageDir(), 'docker-compose.yml')]
    const args = [...file, ...profiles, 'config', '--format', 'json']
    const { code, said } = await runTool(compose, args)
    expect(code, said).toBe(0)
    return JSON.parse(said).services
  }
  services = await parse()
  all = await parse('--profile', 'gpu', '--profile', 'command')
})

/** The file of this machine that stands at a path of a container. */
function sourceOf({ volumes = [] }: Service, path: string): string | undefined {
  const mount = volumes.find(({ type, target }) => {
    return type === 'bind' && (path === target || path.startsWith(`${target}/`))
  })
  return mount && mount.source + path.slice(mount.target.length)
}

function serviceOf(name: string): Service {
  const service = all[name]
  if (!service) throw new Error(`There is no service ${name}`)
  return service
}

/** Every `datasource` in a part of a dashboard. */
function listSources(part: unknown): unknown[] {
  if (typeof part !== 'object' || part === null) return []
  return Object.entries(part).flatMap(([name, value]) =>
    name === 'datasource' ? [value] : listSources(value),
  )
}

const fieldOf = (text: string, name: string) =>
  new RegExp(`^\\s*(?:- )?${name}: *"?([^"\\n]+?)"?$`, 'm').exec(text)?.[1] ?? ''

test('docker-compose.yml starts these services, and mounts what is there', () => {
  expect(Object.keys(services).sort()).toEqual(['gate', 'grafana', 'key', 'mock', 'prometheus'])
  expect(Object.keys(all).sort()).toEqual([...Object.keys(services), 'tollgate', 'vllm'].sort())
  const mounts = Object.values(services).flatMap(({ volumes }) => volumes ?? [])
  const binds = mounts.filter(({ type }) => type === 'bind')
  expect(binds.length).toBeGreaterThan(10)
  for (const { source } of binds) expect(existsSync(source), source).toBe(true)
  const token = Object.entries(all).filter(([, { volumes = [] }]) =>
    volumes.some(({ target }) => target === '/run/tollgate'),
  )
  expect(token.map(([name]) => name).sort()).toEqual(['key', 'prometheus'])
})

test('docker-compose.yml opens ports to this machine alone', () => {
  const ports = Object.values(all).flatMap(({ ports }) => ports ?? [])
  expect(ports.map(({ published }) => published).sort()).toEqual(['3000', '8001', '9090', '9180'])
  for (const { host_ip } of ports) expect(host_ip).toBe('127.0.0.1')
})

test('Prometheus is given the configuration, the rules and the target that it looks for', async () => {
  const prometheus = serviceOf('prometheus')
  const path = '/etc/prometheus/prometheus.yml'
  expect(sourceOf(prometheus, path)).toBe(join(OBSERVABILITY, 'prometheus.yml'))
  const text = await read('prometheus.yml')
  const rules = /rule_files:\n +- (.+)/.exec(text)?.[1] ?? ''
  expect(sourceOf(prometheus, join(dirname(path), rules))).toBe(join(OBSERVABILITY, 'rules.yml'))
  const [host = '', port] = (/targets: \["(.+)"\]/.exec(text)?.[1] ?? '').split(':')
  expect(serviceOf(host).ports?.map(({ target }) => String(target))).toContain(port)
})

test('Grafana is given a data source and a dashboard where its official image looks for them', async () => {
  const grafana = serviceOf('grafana')
  const provisioning = '/etc/grafana/provisioning'
  const sources = join(OBSERVABILITY, 'grafana', 'datasources.yml')
  expect(sourceOf(grafana, `${provisioning}/datasources/tollgate.yml`)).toBe(sources)
  const providers = join(OBSERVABILITY, 'grafana', 'dashboards.yml')
  expect(sourceOf(grafana, `${provisioning}/dashboards/tollgate.yml`)).toBe(providers)

  const folder = fieldOf(await read('grafana/dashboards.yml'), 'path')
  const home = grafana.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? ''
  expect(dirname(home)).toBe(folder)
  const dashboard = sourceOf(grafana, home) ?? ''
  expect(dashboard).toBe(join(OBSERVABILITY, 'grafana', 'dashboards', basename(home)))

  const source = await read('grafana/datasources.yml')
  const { hostname, port } = new URL(fieldOf(source, 'url'))
  expect(serviceOf(hostname).ports?.map(({ target }) => String(target))).toContain(port)
  const { templating, panels }: { templating: { list: Variable[] }; panels: unknown } = JSON.parse(
    await readFile(dashboard, 'utf8'),
  )
  const [variable] = templating.list
  const reference = `\${${variable?.name}}`
  expect(variable).toMatchObject({ name: 'datasource', type: 'datasource' })
  expect(variable?.query).toBe(fieldOf(source, 'type'))
  expect(variable?.current.value).toBe(fieldOf(source, 'uid'))
  const used = listSources(panels)
  expect(used.length).toBeGreaterThan(20)
  for (const one of used) expect(one).toEqual({ type: 'prometheus', uid: reference })
})
