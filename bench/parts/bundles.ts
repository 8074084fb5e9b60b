import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../../src/cli/install/layout.ts'
import type { BundleRow } from '../results.ts'

/** The sizes of what nginx loads. */
export async function measureBundles(): Promise<BundleRow[]> {
  const files = ['tollgate.js', 'tollgate-njs.js', 'tollgate-admin.js']
  return Promise.all(
    files.map(async (file) => {
      return { file, bytes: (await readFile(join(packageDir(), 'dist', file))).length }
    }),
  )
}
