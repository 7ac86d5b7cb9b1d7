// The delivery promise on several relays, while relays, their bus, their database and the networks between them break.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'
import { BUSES, onBus } from '../cluster/relays.ts'
import { until } from '../helpers/wait.ts'
import { countSessions } from './database-check.ts'
import { missingForHosts } from './host.ts'
import { verifyLogsFromOutside, watchLogs } from './log-watch.ts'
import { BUS_NEMESES, PARTITIONS, RELAY_NEMESIS_NAMES, ROLLING } from './relay-nemeses.ts'
import { openRelayStage, type RelayStage } from './relay-stage.ts'
import { flawlessRun, survives } from './survives.ts'

test('on two machines, whatever their cables do', async (t) => {
  const missing = (await missingForHosts()) ?? onBus('nats').skip
  if (missing !== undefined && process.env.CI !== 'true') return t.skip(missing)
  const stage = await openRelayStage(t, 2, 'nats', { hosts: true })
  const watch = watchLogs(stage)
  for (const fault of PARTITIONS) await t.test(`by ${fault}`, (t) => survives(t, stage, [fault]))
  await verifyLogsFromOutside(t, stage, await watch.stop())
})

/** Connections that a relay lost track of would add up until Postgres has none left to give. */
async function noSessionIsLeftOver(stage: RelayStage): Promise<void> {
  const ofRelay = readConfig({}).config!.DATABASE_POOL_SIZE + 2 // its lock, and where it listens
  const most = stage.seats.length * ofRelay + 1 // ours
  let sessions = 0
  await until(
    () => `${sessions} sessions become ${most}`,
    async () => {
      sessions = await stage.look(countSessions)
      return sessions <= most
    }
  )
}

for (const bus of BUSES) {
  const nemeses = RELAY_NEMESIS_NAMES.filter((name) => bus === 'nats' || !BUS_NEMESES.includes(name))
  test(`nothing acknowledged is lost, doubled or overtaken on two relays (${bus})`, onBus(bus), async (t) => {
    const stage = await openRelayStage(t, 2, bus)
    const watch = watchLogs(stage)
    await t.test('while nothing breaks', (t) => survives(t, stage, []))
    for (const fault of nemeses) await t.test(`by ${fault}`, (t) => survives(t, stage, [fault]))
    await noSessionIsLeftOver(stage)
    await verifyLogsFromOutside(t, stage, await watch.stop())
  })

  test(`on three relays whatever breaks, and the log stays one log (${bus})`, onBus(bus), async (t) => {
    const stage = await openRelayStage(t, 3, bus)
    const watch = watchLogs(stage)
    await survives(t, stage, nemeses, 40_000)
    await noSessionIsLeftOver(stage)
    await verifyLogsFromOutside(t, stage, await watch.stop())
  })

  test(
    `three relays are restarted and upgraded one after the other, and nobody is refused (${bus})`,
    onBus(bus),
    async (t) => {
      const stage = await openRelayStage(t, 3, bus)
      for (const name of ROLLING) {
        await t.test(name, async (t) => {
          const { internalErrors } = await flawlessRun(t, stage, [name])
          assert.equal(internalErrors, 0)
        })
      }
    }
  )
}
