import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageFile } from '../../src/util/package-root.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { OWN_TREE } from '../helpers/own-program.ts'

/** What the server reads from its package beside the compiled sources. */
const READ_BESIDE = ['migrations', 'console', 'docs']

/**
 * The next release: this one under another version, with a migration that older relays can live with, or one that breaks
 * them. Returns the directory of its compiled sources.
 */
export async function makeNextBuild(scope: Scope, { breaks = false } = {}): Promise<string> {
  await mkdir(packageFile('build'), { recursive: true })
  const root = await mkdtemp(packageFile('build/next-'))
  atEnd(scope, () => rm(root, { recursive: true, force: true }))
  const tree = join(root, 'dist')
  await Promise.all([
    ...['src', 'plugins', 'client', 'test'].map((name) =>
      cp(join(OWN_TREE, name), join(tree, name), { recursive: true })
    ),
    ...READ_BESIDE.map((name) => cp(packageFile(name), join(root, name), { recursive: true }))
  ])
  const facts = JSON.parse(await readFile(packageFile('package.json'), 'utf8'))
  await writeFile(join(root, 'package.json'), JSON.stringify({ ...facts, version: '99.0.0' }))
  const header = `-- Breaking for a running older server: ${breaks ? 'yes' : 'no'}.`
  const migration = `${header}\ncreate table of_the_next_release (note text);\n`
  await writeFile(join(root, 'migrations', '9000_next_release.sql'), migration)
  return tree
}
