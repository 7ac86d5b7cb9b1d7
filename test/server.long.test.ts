import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { startDuringMigration } from './helpers/migration.ts'

test('a start waits for the migration of another server, longer than a plugin of Fastify may by default', async (t) => {
  const { starting, release } = await startDuringMigration(t)
  await setTimeout(11_000) // Fastify's default is 10 s
  await release()
  await (await starting).join('alice')
})
