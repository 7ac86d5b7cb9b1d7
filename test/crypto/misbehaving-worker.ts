// A worker whose proofs say how it is to misbehave, in their message.
import type { Verdict, WorkerTask } from '../../src/crypto/proof.ts'

export default async function misbehave({ message }: WorkerTask): Promise<Verdict> {
  const order = Buffer.from(message).toString()
  if (order === 'throw') throw new Error('as told')
  if (order === 'die') process.exit(1)
  if (order === 'throw later') setTimeout(() => process.nextTick(() => assertNever()), 5)
  if (order === 'throw later') await new Promise(() => {})
  while (order === 'hang');
  return 'valid'
}

function assertNever(): never {
  throw new Error('outside of any proof')
}
