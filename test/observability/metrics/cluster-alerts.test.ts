// The alerts of a cluster, judged by promtool and by what the server shows.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packageFile } from '../../../src/util/package-root.ts'
import { needs } from '../../helpers/programs.ts'
import { startTestServer } from '../../helpers/server.ts'
import type { AlertCase } from './alert-cases.ts'
import { scrape } from './exposition.ts'
import { alerts } from './promql.ts'
import { promtool, ruleTests, testRules } from './promtool.ts'

const RULES = packageFile('deploy/prometheus/cluster-alerts.yml')
const RELAYS = ['10.0.0.2:3005', '10.0.0.3:3005', '10.0.0.4:3005'] as const
const JOB = { job: 'demos-relay' }

const name = (metric: string, relay: string) => `demos_relay_cluster_${metric}{instance="${relay}",job="demos-relay"}`
/** What each relay shows, one after the other. */
const shown = (metric: string, ...values: string[]) =>
  Object.fromEntries(values.map((value, index) => [name(metric, RELAYS[index]!), value]))
const at = (relay: string) => ({ instance: relay, ...JOB })

/** All are looked at after 30 minutes, 120 samples. */
const CASES: Readonly<Record<string, AlertCase>> = {
  RelayLeaseLost: {
    fires: [[shown('lease_holds', '1x240', '1x110 0x130'), at(RELAYS[1])]],
    quiet: [shown('lease_holds', '1x240', '1x240'), shown('lease_holds', '1x240', '1x118 0x1 1x120')]
  },
  RelayBusAway: {
    fires: [[shown('bus_connected', '1x110 0x130', '1x240'), at(RELAYS[0])]],
    quiet: [shown('bus_connected', '1x240', '1x240'), shown('bus_connected', '1x116 0x2 1x120', '1x240')]
  },
  RelaysFewer: {
    fires: [
      [shown('relays', '3x90 2x150', '3x90 2x150', '3x90 stale'), JOB],
      [shown('relays', '2x90 1x150', '2x90 stale'), JOB]
    ],
    quiet: [
      shown('relays', '3x240', '3x240', '3x240'),
      shown('relays', '3x60 4x8 3x172', '3x240'), // a rolling restart with one relay more
      shown('relays', '3x110 2x130', '3x110 2x130'), // for two minutes only
      shown('relays', '3x20 2x220', '3x20 2x220') // it was made smaller: two are usual
    ]
  },
  RelaysDisagree: {
    fires: [[shown('relays', '3x240', '3x100 2x140'), JOB]],
    quiet: [shown('relays', '3x240', '3x240'), shown('relays', '3x240', '3x116 2x2 3x120')]
  },
  RelayMissesRise: {
    fires: [[shown('misses_total', '0+6x240', '0x240'), at(RELAYS[0])]],
    quiet: [shown('misses_total', '7x240'), shown('misses_total', '0x60 3x180', '0x80 3x160')]
  }
}

test('every alert of a cluster fires when it should, and does not when it should not', needs('promtool'), async (t) => {
  assert.match(await promtool(['check', 'config', packageFile('deploy/prometheus/cluster.yml')]), /SUCCESS/)
  const rules = alerts('cluster-alerts.yml')
  assert.deepEqual(
    Object.keys(CASES),
    rules.map(({ alert }) => alert)
  )
  for (const { fires, quiet } of Object.values(CASES)) assert.ok(fires.length > 0 && quiet.length > 0)
  assert.match(await testRules(t, RULES, ruleTests(rules, CASES)), /SUCCESS/)
})

test('a relay that is alone shows no gauge of a cluster, so none of its alerts fires', async (t) => {
  const { samples } = await scrape(await startTestServer(t))
  const ofCluster = samples.filter(({ name: metric }) => metric.startsWith('demos_relay_cluster_'))
  assert.deepEqual(
    ofCluster.filter(({ name: metric }) => !metric.endsWith('_total')),
    []
  )
  for (const { value } of ofCluster) assert.equal(value, 0)
})
