// Which keys signed the audit logs of this database.
import type { AnySql, TransactionSql } from '../database/database.ts'

/** The key (ed25519, 32 bytes) that may sign; undefined: none has claimed this database yet. */
export async function readSigner(sql: AnySql): Promise<Buffer | undefined> {
  const [row] = await sql<{ key: Buffer }[]>`select public_key as key from audit_node order by id desc limit 1`
  return row?.key
}

/** From now on (ms since 1970) this key may sign, and no other. */
export async function addSigner(tx: TransactionSql, publicKey: Uint8Array, since: number): Promise<void> {
  await tx`insert into audit_node (public_key, since) values (${publicKey}, ${since})`
}

/** The newest checkpoint that was published, a signed note; undefined: none was. */
export async function readNewestNote(sql: AnySql): Promise<string | undefined> {
  const [row] = await sql<{ note: string }[]>`
    select published_note as note from audit_log where published_note is not null order by published_at desc limit 1`
  return row?.note
}
