/** A word of an nginx configuration, with its escapes resolved. */
export type Word = { text: string; isQuoted: boolean }

/** What ends at `;`, `{` or `}`. The words of an `open` one head a block; `broken` is the last. */
export type Directive = {
  /** Counted from 1, where its first word begins. */
  line: number
  words: Word[]
  end: 'simple' | 'open' | 'close' | 'broken'
  /** What is wrong with a broken one. */
  problem?: string
}

/** The reading position. */
type Reader = { text: string; at: number; line: number }

const SPACES = ' \t\r\n'

/**
 * Splits an nginx configuration as nginx does (ngx_conf_read_token): words in double, single or no
 * quotes, `\"`, `\'`, `\\`, `\t`, `\r` and `\n` as escapes, comments where a word could begin.
 */
export function splitDirectives(text: string): Directive[] {
  // A byte order mark, as editors on Windows write it.
  const reader = { text, at: text.charCodeAt(0) === 0xfeff ? 1 : 0, line: 1 }
  const directives: Directive[] = []
  let directive = readDirective(reader)
  while (directive) {
    directives.push(directive)
    directive = directive.end === 'broken' ? null : readDirective(reader)
  }
  return directives
}

function readDirective(reader: Reader): Directive | null {
  const words: Word[] = []
  let line = 0
  for (;;) {
    skipSpace(reader)
    if (line === 0) line = reader.line
    if (reader.at >= reader.text.length) {
      return words.length > 0 ? broken(line, words, 'The ; at its end is missing') : null
    }
    const character = reader.text.charAt(reader.at)
    if (character === ';' || character === '{' || character === '}') {
      reader.at++
      return endDirective(line, words, character)
    }
    const word = character === '"' || character === "'" ? readQuoted(reader) : readBare(reader)
    if (!word) return broken(line, words, `The closing ${character} is missing`)
    words.push(word)
    if (word.isQuoted && isStray(reader)) {
      return broken(line, words, 'A space or ; is missing after the closing quote')
    }
  }
}

function endDirective(line: number, words: Word[], character: string): Directive {
  if (character === '}') {
    if (words.length === 0) return { line, words, end: 'close' }
    return broken(line, words, 'The ; before } is missing')
  }
  if (words.length === 0) return broken(line, words, `Unexpected ${character}`)
  return { line, words, end: character === ';' ? 'simple' : 'open' }
}

function broken(line: number, words: Word[], problem: string): Directive {
  return { line, words, end: 'broken', problem }
}

function skipSpace(reader: Reader): void {
  let isComment = false
  for (; reader.at < reader.text.length; reader.at++) {
    const character = reader.text.charAt(reader.at)
    if (character === '\n') {
      reader.line++
      isComment = false
    } else if (!isComment && character === '#') {
      isComment = true
    } else if (!isComment && SPACES.indexOf(character) < 0) {
      return
    }
  }
}

/** Reads up to the closing quote, over line ends too; null when there is none. */
function readQuoted(reader: Reader): Word | null {
  const quote = reader.text.charAt(reader.at)
  let text = ''
  for (reader.at++; reader.at < reader.text.length; ) {
    if (reader.text.charAt(reader.at) === quote) {
      reader.at++
      return { text, isQuoted: true }
    }
    text += readCharacter(reader)
  }
  return null
}

function readBare(reader: Reader): Word {
  let text = ''
  while (reader.at < reader.text.length) {
    const character = reader.text.charAt(reader.at)
    // The { of ${name} belongs to the word.
    const isVariable = character === '{' && text.slice(-1) === '$'
    if (!isVariable && `${SPACES};{`.indexOf(character) >= 0) break
    text += readCharacter(reader)
  }
  return { text, isQuoted: false }
}

/** Takes one character, or an escape: nginx keeps the backslash of those that it does not know. */
function readCharacter(reader: Reader): string {
  const character = reader.text.charAt(reader.at)
  reader.at++
  if (character === '\n') reader.line++
  if (character !== '\\' || reader.at >= reader.text.length) return character
  const next = reader.text.charAt(reader.at)
  reader.at++
  switch (next) {
    case '"':
    case "'":
    case '\\':
      return next
    case 't':
      return '\t'
    case 'r':
      return '\r'
    case 'n':
      return '\n'
    default:
      if (next === '\n') reader.line++
      return character + next
  }
}

function isStray(reader: Reader): boolean {
  if (reader.at >= reader.text.length) return false
  return `${SPACES};{)`.indexOf(reader.text.charAt(reader.at)) < 0
}
