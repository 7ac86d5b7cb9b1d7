import type { Submission, SubmissionStore } from '../anchor/demos-rpc/submissions.ts'
import type { Database } from '../database/database.ts'

/** The durable memory of the anchor on a Demos chain. */
export function anchorSubmissions(database: Database): SubmissionStore {
  const { sql } = database
  return {
    recall: (checkpoint) =>
      database.within(sql<Submission[]>`
        select hash, address, nonce, transaction from anchor_submission where checkpoint = ${checkpoint} order by id`),
    remember: async (checkpoint, { hash, address, nonce, transaction }) => {
      await database.within(sql`
        insert into anchor_submission (checkpoint, hash, address, nonce, transaction)
        values (${checkpoint}, ${hash}, ${address}, ${nonce}, ${transaction})`)
    },
    highestNonce: async (address) => {
      const [row] = await database.within(sql<{ nonce: number }[]>`
        select coalesce(max(nonce), 0) as nonce from anchor_submission where address = ${address}`)
      return row!.nonce
    }
  }
}
