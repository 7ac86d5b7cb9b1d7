// The delivery promise on several relays, while relays, their bus, their database and the networks between them break.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BUSES, onBus } from '../cluster/relays.ts'
import { missingForHosts } from './host.ts'
import { verifyLogsFromOutside, watchLogs } from './log-watch.ts'
import { BUS_NEMESES, PARTITIONS, RELAY_NEMESIS_NAMES, ROLLING } from './relay-nemeses.ts'
import { openRelayStage } from './relay-stage.ts'
import { flawlessRun, survives } from './survives.ts'

test('on two machines, whatever their cables do', async (t) => {
  const missing = (await missingForHosts()) ?? onBus('nats').skip
  if (missing !== undefined && process.env.CI !== 'true') return t.skip(missing)
  const stage = await openRelayStage(t, 2, 'nats', { hosts: true })
  const watch = watchLogs(stage)
  for (const fault of PARTITIONS) await t.test(`by ${fault}`, (t) => survives(t, stage, [fault]))
  await verifyLogsFromOutside(t, stage, await watch.stop())
})

for (const bus of BUSES) {
  const nemeses = RELAY_NEMESIS_NAMES.filter((name) => bus === 'nats' || !BUS_NEMESES.includes(name))
  test(`nothing acknowledged is lost, doubled or overtaken on two relays (${bus})`, onBus(bus), async (t) => {
    const stage = await openRelayStage(t, 2, bus)
    const watch = watchLogs(stage)
    await t.test('while nothing breaks', (t) => survives(t, stage, []))
    for (const fault of nemeses) await t.test(`by ${fault}`, (t) => survives(t, stage, [fault]))
    await verifyLogsFromOutside(t, stage, await watch.stop())
  })

  test(`on three relays whatever breaks, and the log stays one log (${bus})`, onBus(bus), async (t) => {
    const stage = await openRelayStage(t, 3, bus)
    const watch = watchLogs(stage)
    await survives(t, stage, nemeses, 40_000)
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
