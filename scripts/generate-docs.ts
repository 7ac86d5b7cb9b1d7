/** Writes the files that are made from the code, whole or in part (`npm run docs`). */
import { writeFileSync } from 'node:fs'
import { packageFile } from '../src/util/package-root.ts'
import { generatedFiles } from './generated-files.ts'

for (const { path, text } of generatedFiles()) {
  writeFileSync(packageFile(path), text)
  console.log(`${path} is up to date`)
}
