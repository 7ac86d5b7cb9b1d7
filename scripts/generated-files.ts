import { dashboard } from '../src/docs/dashboard.ts'
import { errorCatalogue } from '../src/docs/errors.ts'
import { metricsCatalogue } from '../src/docs/metrics.ts'
import { envExample, settingsPage } from '../src/docs/settings.ts'
import { cliReference } from './cli-reference.ts'

export interface GeneratedFile {
  /** From the root of the package. */
  readonly path: string
  readonly text: string
}

/** Every file that is made from the code, as it should be now (`npm run docs` writes them, a test compares). */
export function generatedFiles(): GeneratedFile[] {
  return [
    { path: '.env.example', text: envExample() },
    { path: 'docs/cli.md', text: cliReference() },
    { path: 'docs/errors.md', text: errorCatalogue() },
    { path: 'docs/metrics.md', text: metricsCatalogue() },
    { path: 'docs/settings.md', text: settingsPage() },
    { path: 'deploy/grafana/dashboards/demos-relay.json', text: `${JSON.stringify(dashboard(), null, 2)}\n` }
  ]
}
