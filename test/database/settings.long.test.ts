import { test } from 'node:test'
import { emptyTestDatabase } from '../helpers/database.ts'
import { dealt, knownSettings, settingsSeed, storeTestsPass } from './settings.ts'

/** So many settings at once. */
const AT_ONCE = 40

test('the whole store works as ever under every value of every setting of the database', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const known = await knownSettings(sql)
  const [seed, values] = [settingsSeed(), Object.values(known).flat().length]
  const rounds = dealt(known, AT_ONCE, seed)
  t.diagnostic(`${Object.keys(known).length} settings, ${values} values, ${rounds.length} rounds, seed ${seed}`)
  for (const [place, settings] of rounds.entries()) {
    await t.test(`round ${place + 1}`, (t) => storeTestsPass(t, settings))
  }
})
