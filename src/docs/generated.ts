import { existsSync, readFileSync } from 'node:fs'
import { envExample, readmeWithTable } from '../config/print.ts'
import { packageFile } from '../util/package-root.ts'
import { cliReference } from './cli.ts'
import { dashboard } from './dashboard.ts'
import { errorCatalogue } from './errors.ts'
import { metricsCatalogue } from './metrics.ts'

export interface GeneratedFile {
  /** From the root of the package. */
  readonly path: string
  readonly text: string
}

/** Every file that is made from the code, as it should be now (`npm run docs` writes them, a test compares). */
export function generatedFiles(): GeneratedFile[] {
  const readme = packageFile('README.md')
  return [
    { path: 'README.md', text: readmeWithTable(existsSync(readme) ? readFileSync(readme, 'utf8') : '# demos-relay\n') },
    { path: '.env.example', text: envExample() },
    { path: 'docs/cli.md', text: cliReference() },
    { path: 'docs/errors.md', text: errorCatalogue() },
    { path: 'docs/metrics.md', text: metricsCatalogue() },
    { path: 'deploy/grafana/dashboards/demos-relay.json', text: `${JSON.stringify(dashboard(), null, 2)}\n` }
  ]
}
