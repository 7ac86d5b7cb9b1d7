// Bundles the page of playground/ for browsers. As a program it writes dist/playground; the server, run from its sources,
// calls `bundle`.
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(import.meta.dirname, '..')

/** Resolves to the text of the script. */
export async function bundle() {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [join(root, 'playground/playground.ts')],
    ...{ bundle: true, write: false, minify: true, format: 'esm', target: 'es2022', legalComments: 'eof' }
  })
  return outputFiles[0].text
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const out = join(root, 'dist/playground')
  await mkdir(out, { recursive: true })
  await writeFile(join(out, 'playground.js'), await bundle())
  for (const name of ['index.html', 'playground.css']) await copyFile(join(root, 'playground', name), join(out, name))
}
