import type { TransactionSql } from '../database/database.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'

/** Notes in history that these entries, which left their mailboxes, were never received. Signaling has no history. */
export async function noteGivenUp(
  tx: TransactionSql,
  gone: readonly { readonly seq: number; readonly network: string }[],
  reason: 'expired' | 'purged'
): Promise<void> {
  const kept = gone.filter(({ network }) => network !== SIGNALING_NETWORK)
  if (kept.length === 0) return
  await tx`
    insert into given_up (seq, reason) select seq, ${reason} from unnest(${kept.map(({ seq }) => seq)}::bigint[]) as seq`
}
