import {
  findNodeAtLocation,
  type Node,
  type ParseError,
  parse,
  parseTree,
  printParseErrorCode,
  visit,
} from 'jsonc-parser'
import { formatPath, parsePath, type Segment } from '../../core/config/path.ts'
import type { Problem } from '../../core/config/shapes.ts'

/** One thing wrong in one file. Line and column count from 1. */
export type FileProblem = Problem & { file: string; line?: number; column?: number }

const STRICT = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false }

/** Parses JSON. Syntax errors come with line and column, and without the text around them. */
export function parseJson(
  file: string,
  text: string,
): { document: unknown } | { problem: FileProblem } {
  try {
    return { document: JSON.parse(text) }
  } catch {
    const errors: ParseError[] = []
    parse(text, errors, STRICT)
    const first = errors[0]
    if (!first) return { problem: { file, path: '', message: 'Not valid JSON' } }
    const message = `Not valid JSON: ${describe(first)}`
    return { problem: { file, path: '', message, ...positionOf(text, first.offset) } }
  }
}

/** Finds names that stand twice in one object: JSON.parse keeps the last and is silent. */
export function findDuplicates(file: string, text: string): FileProblem[] {
  const problems: FileProblem[] = []
  const open: Map<string, number>[] = []
  visit(
    text,
    {
      onObjectBegin: () => {
        open.push(new Map())
      },
      onObjectEnd: () => {
        open.pop()
      },
      onObjectProperty: (name, _offset, _length, line, character, pathOf) => {
        const seen = open.at(-1)
        const first = seen?.get(name)
        if (first === undefined) {
          seen?.set(name, line)
          return
        }
        problems.push({
          file,
          path: formatPath([...pathOf(), name]),
          message: `The name stands twice in this object, first in line ${first + 1}; keep one`,
          line: line + 1,
          column: character + 1,
        })
      },
    },
    STRICT,
  )
  return problems
}

/** Adds file, line and column to problems that are known by their path. */
export function locate(file: string, text: string, problems: Problem[]): FileProblem[] {
  const root = problems.length > 0 ? parseTree(text) : undefined
  return problems.map((problem) => {
    const node = root && findNearest(root, parsePath(problem.path) ?? [])
    return { file, ...problem, ...(node ? positionOf(text, node.offset) : {}) }
  })
}

/** The node of a path, or of its last part that is there; by its name rather than its value. */
function findNearest(root: Node, path: Segment[]): Node {
  for (let length = path.length; length > 0; length--) {
    const node = findNodeAtLocation(root, path.slice(0, length))
    if (node) return node.parent?.type === 'property' ? node.parent : node
  }
  return root
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1 }
}

/** `CommaExpected` -> `comma expected`. */
function describe(error: ParseError): string {
  return printParseErrorCode(error.error)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
}
