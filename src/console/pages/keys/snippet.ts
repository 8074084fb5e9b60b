export type SnippetKind = 'curl' | 'python' | 'javascript'

/** A first request, to be pasted as it is. */
export function snippetOf(kind: SnippetKind, gate: string, key: string, model: string): string {
  const base = `${gate.trim().replace(/\/+$/, '')}/v1`
  switch (kind) {
    case 'curl':
      return [
        `curl ${base}/chat/completions \\`,
        `  -H 'Authorization: Bearer ${key}' \\`,
        `  -H 'Content-Type: application/json' \\`,
        `  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'`,
      ].join('\n')
    case 'python':
      return [
        'from openai import OpenAI',
        '',
        `client = OpenAI(base_url="${base}", api_key="${key}")`,
        'answer = client.chat.completions.create(',
        `    model="${model}", messages=[{"role": "user", "content": "Hello"}]`,
        ')',
        'print(answer.choices[0].message.content)',
      ].join('\n')
    case 'javascript':
      return [
        "import OpenAI from 'openai'",
        '',
        `const client = new OpenAI({ baseURL: '${base}', apiKey: '${key}' })`,
        'const answer = await client.chat.completions.create({',
        `  model: '${model}', messages: [{ role: 'user', content: 'Hello' }]`,
        '})',
        'console.log(answer.choices[0].message.content)',
      ].join('\n')
  }
}
