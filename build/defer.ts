import ts from 'typescript'
import { parse, visitNames } from './constants.ts'

/** Whether only some requests need a function, by its module and name. */
export type Seldom = (module: string, name: string) => boolean

/** Statements at the top of a bundle, and the module of each. */
type Top = { statement: ts.Statement; names: string[]; module: string; uses: Set<string> }

/**
 * Puts what only some requests need into a function that makes it at its first use: njs's own engine makes
 * every function at the top anew for each request. On QuickJS it would do harm: there a function has its own text
 * in each context, so that what stands within another is there twice. Takes and gives the text of an ES module as
 * esbuild writes it without minifying, with a comment before each module.
 *
 * Needed by every request is what the default export reaches; where it calls a function of one of the modules in
 * `seldom`, that one and all that it alone needs is made then. What holds a state and is used by both stays at the top.
 * `name` tells what was put away from what was before.
 */
export function defer(text: string, seldom: Seldom, name: string): string {
  const { tops, usual, doors } = findUsual(text, seldom)
  const later = tops.filter((top) => !usual.has(top) || isCopied(top, tops, usual))
  for (const top of later) {
    if (ts.isFunctionDeclaration(top.statement)) continue
    if (!ts.isVariableStatement(top.statement))
      throw new Error(`Cannot defer ${top.statement.getText()}`)
  }
  const made = later.map(({ statement }) => statement.getFullText())
  const open = `open${name}`
  const kept = tops
    .filter((top) => usual.has(top))
    .map(({ statement }) => byDoor(statement, doors, open))
  const names = [...doors].join(', ')
  const maker = `function make${name}() {${made.join('')}\n  return { ${names} };\n}`
  const opener = `var made${name} = null;\nfunction ${open}() {\n  if (!made${name}) made${name} = make${name}();\n  return made${name};\n}`
  const last = kept.pop() ?? ''
  return [...kept, opener, maker, last].join('\n')
}

/** Names at the top of a bundle that every request needs, by the same rule as defer(). */
export function usualNames(text: string, seldom: Seldom): Set<string> {
  return new Set([...findUsual(text, seldom).usual].flatMap(({ names }) => names))
}

/** `doors`: what is called of that which few requests need. */
function findUsual(text: string, seldom: Seldom) {
  const tops = listTops(parse(text))
  const byName = new Map(tops.flatMap((top) => top.names.map((name) => [name, top] as const)))
  const usual = new Set<Top>()
  const doors = new Set<string>()
  const reach = (top: Top) => {
    if (usual.has(top)) return
    usual.add(top)
    for (const name of top.uses) {
      const used = byName.get(name)
      if (used === undefined) continue
      if (seldom(used.module, name)) doors.add(name)
      else reach(used)
    }
  }
  for (const top of tops) if (top.names.length === 0) reach(top)
  return { tops, usual, doors }
}

/** Small ones that both need have a copy on either side, so that each can be put where it is called. */
function isCopied(top: Top, tops: readonly Top[], usual: ReadonlySet<Top>): boolean {
  if (!ts.isFunctionDeclaration(top.statement)) return false
  if (top.statement.getWidth() > COPIED_CHARS_MAX) return false
  return tops.some((user) => !usual.has(user) && top.names.some((name) => user.uses.has(name)))
}

const COPIED_CHARS_MAX = 700

function listTops(source: ts.SourceFile): Top[] {
  let module = ''
  const tops = source.statements.map((statement) => {
    for (const { pos, end } of ts.getLeadingCommentRanges(source.text, statement.pos) ?? []) {
      const found = /^\/\/ (src\/\S+)$/.exec(source.text.slice(pos, end))
      if (found?.[1]) module = found[1]
    }
    return { statement, names: namesOf(statement), module, uses: new Set<string>() }
  })
  const known = new Set(tops.flatMap(({ names }) => names))
  for (const top of tops) {
    const own = copiesIn(top.statement)
    visitNames(top.statement, (node) => {
      const isOwn = top.names.includes(node.text) || own.has(node.text)
      if (known.has(node.text) && !isOwn) top.uses.add(node.text)
    })
  }
  return tops
}

/** What a function that makes others declares: a copy may have the name of one at the top. */
function copiesIn(statement: ts.Statement): Set<string> {
  const body = ts.isFunctionDeclaration(statement) ? statement.body : undefined
  return new Set(body?.statements.flatMap(namesOf))
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isFunctionDeclaration(statement)) return statement.name ? [statement.name.text] : []
  if (!ts.isVariableStatement(statement)) return []
  return statement.declarationList.declarations.map(({ name }) => name.getText())
}

/** The text of a statement, in which the names of doors are asked for. */
function byDoor(statement: ts.Statement, doors: ReadonlySet<string>, open: string): string {
  const found: ts.Identifier[] = []
  const own = copiesIn(statement)
  visitNames(statement, (node) => {
    if (doors.has(node.text) && !own.has(node.text)) found.push(node)
  })
  let text = statement.getFullText()
  const start = statement.getFullStart()
  for (const node of found.sort((a, b) => b.pos - a.pos)) {
    const at = node.getStart() - start
    text = `${text.slice(0, at)}${open}().${text.slice(at)}`
  }
  return text
}
