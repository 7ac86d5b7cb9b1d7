// The files of deploy/, and the names that a query is made of.
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { packageFile } from '../../../src/util/package-root.ts'

export const deployed = (path: string): string => readFileSync(packageFile(`deploy/${path}`), 'utf8')

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}

/** The rules for every relay, or those for a cluster. */
export function alerts(file: 'alerts.yml' | 'cluster-alerts.yml' = 'alerts.yml'): Alert[] {
  const { groups } = parse(deployed(`prometheus/${file}`)) as { groups: { rules: Alert[] }[] }
  return groups.flatMap(({ rules }) => rules)
}

export interface DashboardPanel {
  readonly title: string
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

export function dashboardPanels(): DashboardPanel[] {
  return (JSON.parse(deployed('grafana/dashboards/demos-relay.json')) as { panels: DashboardPanel[] }).panels
}

export const dashboardQueries = () =>
  dashboardPanels().flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })))

/** The selectors in a query: names of metrics, and the labels they are matched by. */
export function selectorsIn(
  expr: string
): { name: string; matchers: { label: string; operator: string; value: string }[] }[] {
  const found = expr.matchAll(/\b(?<name>(?:demos_relay|process|nodejs|up)(?:_\w+)?)\b(?:\{(?<matchers>[^}]*)\})?/g)
  return [...found].map(({ groups }) => ({
    name: groups!.name!,
    matchers: [...(groups!.matchers ?? '').matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
      ([, label, operator, value]) => ({ label: label!, operator: operator!, value: value! })
    )
  }))
}

/** The labels a query groups by, or its legend shows. */
export const labelsIn = (text: string): string[] =>
  [...text.matchAll(/\b(?:by|without|on|ignoring) \(([^)]*)\)|\{\{\s*\$?(?:labels\.)?(\w+)/g)]
    .flatMap(([, list, one]) => (list ?? one ?? '').split(','))
    .map((label) => label.trim())
    .filter((label) => label !== '' && label !== 'value')
