import { readFile, writeFile } from 'node:fs/promises'

/** Replaces a text in a file that must hold it. */
export async function edit(path: string, from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  const edited = text.replace(from, () => to)
  if (edited === text) throw new Error(`There is no ${from} in ${path}`)
  await writeFile(path, edited)
}
