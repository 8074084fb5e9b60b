import { describe, expect, test } from 'vitest'
import { parseMapFile, suggestName } from '../../../src/cli/map/mapfile.ts'

const entriesOf = (text: string) =>
  parseMapFile(text).entries.map(({ line, key, identity }) => [line, key, identity])

describe('parseMapFile', () => {
  test('reads the hand-written recipe as a whole', () => {
    const text = `
# keys of the team
map $http_authorization $api_client {
    default "";

    "Bearer sk-one"   "app-frontend";   # the web site
    'Bearer sk-two'   batch;
}
map $http_x_api_key $other { default ""; sk-three team@example; }
`
    expect(parseMapFile(text)).toEqual({
      entries: [
        { line: 6, key: 'sk-one', identity: 'app-frontend' },
        { line: 7, key: 'sk-two', identity: 'batch' },
        { line: 9, key: 'sk-three', identity: 'team@example' },
      ],
      problems: [],
    })
  })

  test.each([
    ['double quotes', '"Bearer a" "x";', 'a'],
    ['single quotes', "'Bearer a' 'x';", 'a'],
    ['no quotes around the name', '"Bearer a" x;', 'a'],
    ['no space between quotes and ;', '"Bearer a""x";', null],
    ['an escaped quote', '"Bearer a\\"b" x;', 'a"b'],
    ['the other quote', '"Bearer a\'b" x;', "a'b"],
    ['an escaped backslash', '"Bearer a\\\\b" x;', 'a\\b'],
    ['a backslash that nginx keeps', '"Bearer a\\.b" x;', 'a\\.b'],
    ['a # and a ; in quotes', '"Bearer a#b;c{" x;', 'a#b;c{'],
    ['a $ in a key, which is no variable there', '"Bearer a$b" x;', 'a$b'],
    ['the scheme in lower case and more space', '"bearer   a" x;', 'a'],
    ['letters beyond ASCII', '"Bearer clé" x;', 'clé'],
    ['several entries in a line', '"Bearer a" x; "Bearer b" y;', 'a'],
    ['line ends of Windows, and a byte order mark', '\ufeff"Bearer a" x;\r\n', 'a'],
    ['a bare word with an escaped quote in it', '"Bearer a" \\"x;', null],
  ])('reads %s', (_name, text, key) => {
    expect(entriesOf(text)[0]?.[1] ?? null).toBe(key)
  })

  test('counts lines over comments, blank lines and quotes that go on', () => {
    expect(entriesOf('\n# "Bearer no" "x";\n\n"Bearer a"\n  x;\n"Bearer b" y;')).toEqual([
      [4, 'a', 'x'],
      [6, 'b', 'y'],
    ])
  })

  test('keeps the same line twice, for the import to count', () => {
    expect(entriesOf('"Bearer a" x;\n"Bearer a" x;')).toHaveLength(2)
  })

  test.each([
    ['a default that lets everybody in', 'default anonymous;', 'The default lets in'],
    ['a default in quotes', '"default" guest;', 'The default lets in'],
    ['an include', 'include keys.map;', 'import that file by itself'],
    ['hostnames', 'hostnames;', 'The option hostnames'],
    ['volatile', 'volatile;', 'The option volatile'],
    ['a pattern', '"~^Bearer SECRET.*" x;', 'A pattern cannot be imported'],
    ['a pattern of any case', '~*SECRET x;', 'A pattern cannot be imported'],
    ['a key with a comma', '"Bearer SECRET,b" x;', 'holds a comma'],
    ['a key with a tab', '"Bearer SECRET\\tb" x;', 'control character'],
    ['an empty key', '"Bearer " x;', 'The key is empty'],
    ['no scheme', '"SECRET" x;', 'does not begin with "Bearer "'],
    ['another scheme', '"Basic SECRET" x;', 'does not begin with "Bearer "'],
    ['swapped columns', 'x "Bearer SECRET";', 'look swapped'],
    ['an empty identity', '"Bearer SECRET" "";', 'The identity is empty'],
    ['an identity with spaces', '"Bearer SECRET" "My App";', 'write My-App'],
    ['an identity that holds the key', '"Bearer SECRET" "app-SECRET";', 'holds the key itself'],
    ['an identity with a variable', '"Bearer SECRET" "$remote_user";', 'holds a variable'],
    ['a forgotten ;', '"Bearer SECRET" x\n"Bearer SECRET2" y;', 'found 4 words'],
    ['a forgotten ; at the end', '"Bearer SECRET" x', 'The ; at its end is missing'],
    ['a forgotten quote', '"Bearer SECRET x;', 'The closing " is missing'],
    ['a letter behind a quote', '"Bearer SECRET"x y;', 'after the closing quote'],
    ['a forgotten }', 'map $http_authorization $c { "Bearer SECRET" x;', '} at the end'],
    ['a } too many', '}', 'Unexpected }'],
    ['a map of something else', 'map $host $x { "SECRET" y; }', 'Not a map of API keys'],
    ['a server around it', 'server { "Bearer SECRET" x; }', 'Not a map of API keys'],
  ])('reports %s, with the line and without the key', (_name, text, message) => {
    const { problems } = parseMapFile(`\n${text}`)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.line).toBe(2)
    expect(problems[0]?.message).toContain(message)
    expect(JSON.stringify(problems)).not.toContain('SECRET')
  })

  test('reports a key of two clients, and names both lines', () => {
    const { entries, problems } = parseMapFile('"Bearer SECRET" x;\n"Bearer SECRET" y;')
    expect(entries).toHaveLength(1)
    expect(problems).toEqual([
      { line: 2, identity: 'y', message: 'The same key twice: line 1 gives it to x; remove one' },
    ])
  })

  test('loses nothing behind a problem', () => {
    const text = 'hostnames;\n"Bearer a" "My App";\nmap $host $x { a b; }\n"Bearer b" y;'
    const { entries, problems } = parseMapFile(text)
    expect(problems.map((problem) => problem.line)).toEqual([1, 2, 3])
    expect(entries).toEqual([{ line: 4, key: 'b', identity: 'y' }])
  })
})

describe('suggestName', () => {
  test.each([
    ['My App', 'My-App'],
    ['  (internal) ', 'internal'],
    ['王', 'app'],
    ['a'.repeat(200), 'a'.repeat(128)],
  ])('makes a name of %s', (identity, name) => {
    expect(suggestName(identity)).toBe(name)
  })
})
