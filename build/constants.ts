import ts from 'typescript'

/**
 * Puts numbers and texts that have a name at the top of a bundle where they are used. Closure Compiler leaves those there that
 * several functions use, and for njs's own engine each is a variable, which it has to make for every request and to
 * give to every function that names it.
 */
export function putConstants(text: string): string {
  const source = parse(text)
  const values = new Map<string, { value: string; statement: ts.Statement }>()
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue
    const [one, ...more] = statement.declarationList.declarations
    const value = one?.initializer
    if (one === undefined || value === undefined || more.length > 0) continue
    if (ts.isNumericLiteral(value) || ts.isStringLiteral(value))
      values.set(one.name.getText(), { value: value.getText(), statement })
  }
  const uses: ts.Identifier[] = []
  visitNames(source, (node) => {
    const declares = values.get(node.text)?.statement
    if (declares === undefined || declares === node.parent.parent.parent) return
    // Something inside has the same name, or it is no constant.
    if (isDeclared(node) || isAssigned(node)) values.delete(node.text)
    else uses.push(node)
  })
  const changes = uses.flatMap((node) => {
    const value = values.get(node.text)?.value
    return value === undefined ? [] : [{ from: node.getStart(), to: node.getEnd(), text: value }]
  })
  for (const { statement } of values.values())
    changes.push({ from: statement.getStart(), to: statement.getEnd(), text: '' })
  return changes
    .sort((a, b) => b.from - a.from)
    .reduce((all, { from, to, text: by }) => all.slice(0, from) + by + all.slice(to), text)
}

/** A bundle as a tree. */
export function parse(text: string): ts.SourceFile {
  return ts.createSourceFile('bundle.js', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS)
}

/** Every identifier that is no name of a property. */
export function visitNames(node: ts.Node, take: (node: ts.Identifier) => void): void {
  if (ts.isIdentifier(node)) {
    const parent = node.parent
    const isProperty =
      (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
      (ts.isPropertyAssignment(parent) && parent.name === node) ||
      (ts.isMethodDeclaration(parent) && parent.name === node)
    if (!isProperty) take(node)
  }
  ts.forEachChild(node, (child) => visitNames(child, take))
}

function isDeclared(node: ts.Identifier): boolean {
  const parent = node.parent
  if (ts.isShorthandPropertyAssignment(parent)) return true
  return (
    (ts.isVariableDeclaration(parent) ||
      ts.isParameter(parent) ||
      ts.isFunctionDeclaration(parent)) &&
    parent.name === node
  )
}

function isAssigned(node: ts.Identifier): boolean {
  const parent = node.parent
  if (ts.isPostfixUnaryExpression(parent)) return true
  if (ts.isPrefixUnaryExpression(parent))
    return (
      parent.operator === ts.SyntaxKind.PlusPlusToken ||
      parent.operator === ts.SyntaxKind.MinusMinusToken
    )
  if (!ts.isBinaryExpression(parent) || parent.left !== node) return false
  const operator = parent.operatorToken.kind
  return operator >= ts.SyntaxKind.FirstAssignment && operator <= ts.SyntaxKind.LastAssignment
}
