import ts from 'typescript'
import { parse, visitNames } from './constants.ts'

/** Of so many functions one is made: more take less memory, and longer to find the one that is called. */
const TOGETHER = 16

/**
 * Makes few functions of the many that are seldom called, for QuickJS: there each is 0.6 KB of every open stream, called or
 * not. Those whose names are in `often` stay as they are, and so do those that are handed on as values. Of the others each call
 * `f(a, b)` becomes one of the function that it stands in now, `all(7, a, b)`, which finds the seventh by halves.
 *
 * Takes and gives what straighten() writes: ES5, with functions and variables at the top, and throws at anything else that
 * declares a name.
 */
export function merge(text: string, often: ReadonlySet<string>): string {
  const source = parse(text)
  const tops = source.statements.filter(ts.isFunctionDeclaration)
  const byName = new Map(tops.map((top) => [nameOf(top), top] as const))
  const values = findValues(source, byName)
  const left = tops.filter((top) => !often.has(nameOf(top)) && !values.has(nameOf(top)))
  // Each call makes all variables of the function that it calls, so those of a size come together.
  const sorted = left.map((top) => ({ top, names: namesWithin(top) }))
  sorted.sort((a, b) => a.names.length - b.names.length)
  const { all, atTop } = namesIn(source)
  const fresh = freshNames(all)
  const which = fresh()
  const calls = new Map<string, string>()
  const groups: { name: string; cases: typeof sorted }[] = []
  for (let from = 0; from < sorted.length; from += TOGETHER) {
    const cases = sorted.slice(from, from + TOGETHER)
    const name = fresh()
    groups.push({ name, cases })
    for (const [index, { top }] of cases.entries()) calls.set(nameOf(top), `${name}(${index}`)
  }
  // In place of what a function declared, in all the same.
  const freshSlot = freshNames(new Set([...atTop, which, ...groups.map(({ name }) => name)]))
  const slots: string[] = []
  const rename = (names: readonly string[]) => {
    while (slots.length < names.length) slots.push(freshSlot())
    return new Map(names.map((name, index) => [name, slots[index] as string] as const))
  }
  const made = groups.map(({ name, cases }) => {
    const bodies = cases.map(({ top, names }) => bodyOf(top, rename(names), calls))
    const most = Math.max(...cases.map(({ top }) => top.parameters.length))
    return `function ${name}(${[which, ...slots.slice(0, most)].join()}){${byHalves(which, bodies, 0)}}`
  })
  const rest = source.statements.filter((statement) => !left.some((top) => top === statement))
  const kept = rest.map((statement) => rewrite(statement, new Map(), calls))
  const at = kept.findIndex((statement) => !statement.startsWith('import'))
  return `${[...kept.slice(0, at), ...made, ...kept.slice(at)].join('\n')}\n`
}

type Fn = ts.FunctionDeclaration | ts.FunctionExpression

function isFunction(node: ts.Node): node is Fn {
  return ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node)
}

function nameOf(top: ts.FunctionDeclaration): string {
  return top.name?.text ?? ''
}

/** All names, and those that no function declares: they stand at the top, or are the engine's. */
function namesIn(source: ts.SourceFile) {
  const [all, atTop] = [new Set<string>(), new Set<string>()]
  visitNames(source, (node) => {
    all.add(node.text)
    if (!declaredAround(node, null)) atTop.add(node.text)
  })
  return { all, atTop }
}

/** Functions that are not only called, or with more than they take. */
function findValues(
  source: ts.SourceFile,
  byName: ReadonlyMap<string, ts.FunctionDeclaration>,
): Set<string> {
  const found = new Set<string>()
  visitNames(source, (node) => {
    const top = byName.get(node.text)
    if (top === undefined || top.name === node || declaredAround(node, null)) return
    const call = node.parent
    const isCall = ts.isCallExpression(call) && call.expression === node
    if (!isCall || call.arguments.length > top.parameters.length) found.add(node.text)
  })
  return found
}

/** Whether a function around a name, up to `top` or all, declares it. */
function declaredAround(node: ts.Node, top: ts.Node | null): boolean {
  for (let around = node.parent; around; around = around.parent) {
    if (isFunction(around) && declaredIn(around).includes(node.getText())) return true
    if (around === top) return false
  }
  return false
}

/** What a function itself declares: its parameters first, in order. */
function declaredIn(fn: Fn): string[] {
  const known = declared.get(fn)
  if (known !== undefined) return known
  const names = fn.parameters.map(({ name }) => name.getText())
  if (ts.isFunctionExpression(fn) && fn.name) names.push(fn.name.text)
  const visit = (node: ts.Node) => {
    if (ts.isVariableDeclaration(node)) names.push(node.name.getText())
    if (isFunction(node)) {
      if (ts.isFunctionDeclaration(node)) names.push(nameOf(node))
      return
    }
    if (ts.isArrowFunction(node) || ts.isClassLike(node) || isScoped(node))
      throw new Error(`Cannot merge ${node.getText().slice(0, 60)}`)
    ts.forEachChild(node, visit)
  }
  if (fn.body) ts.forEachChild(fn.body, visit)
  declared.set(fn, names)
  return names
}
const declared = new WeakMap<Fn, string[]>()

function isScoped(node: ts.Node): boolean {
  return ts.isVariableDeclarationList(node) && (node.flags & ts.NodeFlags.BlockScoped) !== 0
}

/** All names that a function declares, its parameters first, and those of functions within it. */
function namesWithin(top: ts.FunctionDeclaration): string[] {
  const names = new Set(declaredIn(top))
  const visit = (node: ts.Node) => {
    if (isFunction(node)) for (const name of declaredIn(node)) names.add(name)
    ts.forEachChild(node, visit)
  }
  visit(top)
  names.delete(nameOf(top))
  return [...names]
}

function bodyOf(
  top: ts.FunctionDeclaration,
  names: ReadonlyMap<string, string>,
  calls: ReadonlyMap<string, string>,
): string {
  if (!top.body) throw new Error(`${nameOf(top)} has no body`)
  const text = rewrite(top.body, names, calls, top).slice(1, -1).trim()
  const last = top.body.statements.at(-1)
  return last && ts.isReturnStatement(last) ? text : `${text};return`
}

/** The text of a node, with names of its own for what functions in it declare, and with calls as they are now. */
function rewrite(
  node: ts.Node,
  names: ReadonlyMap<string, string>,
  calls: ReadonlyMap<string, string>,
  top: ts.Node | null = null,
): string {
  const changes: { from: number; to: number; by: string }[] = []
  visitNames(node, (found) => {
    const [from, to] = [found.getStart(), found.getEnd()]
    if (declaredAround(found, top)) {
      changes.push({ from, to, by: names.get(found.text) ?? found.text })
      return
    }
    const by = calls.get(found.text)
    if (by === undefined) return
    const call = found.parent as ts.CallExpression
    const open = node.getSourceFile().text.indexOf('(', to) + 1
    changes.push({ from, to: open, by: call.arguments.length > 0 ? `${by},` : by })
  })
  const start = node.getStart()
  return changes
    .sort((a, b) => b.from - a.from)
    .reduce(
      (text, { from, to, by }) => text.slice(0, from - start) + by + text.slice(to - start),
      node.getText(),
    )
}

/** A text that runs the body of one number: the number is looked for by halves, as a switch would compare with each. */
function byHalves(which: string, bodies: readonly string[], first: number): string {
  if (bodies.length === 1) return `${bodies[0]}`
  const half = bodies.length >> 1
  const [low, high] = [bodies.slice(0, half), bodies.slice(half)]
  return `if(${which}<${first + half}){${byHalves(which, low, first)}}else{${byHalves(which, high, first + half)}}`
}

/** Gives names of one letter or two that are not in `taken`. */
function freshNames(taken: ReadonlySet<string>): () => string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$_'
  const all = [...letters, ...[...letters].flatMap((a) => [...letters].map((b) => a + b))]
  const free = all.filter((name) => !taken.has(name) && !/^(?:do|if|in|as|of)$/.test(name))
  return () => {
    const name = free.shift()
    if (name === undefined) throw new Error('There are no short names left')
    return name
  }
}
