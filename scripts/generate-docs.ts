/** Brings the generated parts of the README and `.env.example` up to date with the config schema (`npm run docs`). */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { envExample, readmeWithTable } from '../src/config/print.ts'
import { packageFile } from '../src/package-root.ts'

const readme = packageFile('README.md')
writeFileSync(readme, readmeWithTable(existsSync(readme) ? readFileSync(readme, 'utf8') : '# demos-relay\n'))
writeFileSync(packageFile('.env.example'), envExample())
console.log('README.md and .env.example are up to date')
