import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { seededRandom } from '../chaos/random.ts'
import { emptyTestDatabase } from '../helpers/database.ts'
import { chosen, knownSettings, storeTestsPass } from './settings.ts'

for (let round = 1; round <= 12; round++) {
  test(`the whole store works as ever under settings of the database, round ${round}`, async (t) => {
    const { sql } = await emptyTestDatabase(t)
    const seed = randomInt(2 ** 31)
    t.diagnostic(`seed ${seed}`)
    await storeTestsPass(t, chosen(await knownSettings(sql), 40, seededRandom(seed)))
  })
}
