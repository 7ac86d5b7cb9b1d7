import { setTimeout as delay } from 'node:timers/promises'
import { jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { mark } from '../parent.ts'
import { protocolNamed } from '../protocols/index.ts'
import type { ProtocolName } from '../protocols/protocol.ts'

export interface PublishRequest {
  /** Address of the NATS server. */
  readonly url: string
  readonly protocol: ProtocolName
  readonly prefix: string
  readonly pairs: number
  readonly bodyBytes: number
  /** Messages of each publisher that are not acknowledged yet. */
  readonly window: number
  readonly warmUpMs: number
  readonly measureMs: number
}

export interface PublishReport {
  readonly messages: number
  readonly seconds: number
}

/** Publishes bodies into a stream on disk, a subject for each pair, and counts what the server acknowledges. */
export async function publishDurably(request: PublishRequest): Promise<PublishReport> {
  const { url, protocol, prefix, pairs, bodyBytes, window, warmUpMs, measureMs } = request
  const connection = await connect({ servers: new URL(url).host })
  const manager = await jetstreamManager(connection)
  const stream = `bench-${prefix}`
  await manager.streams.add({
    ...{ name: stream, subjects: [`${stream}.*`] },
    ...{ storage: StorageType.File, retention: RetentionPolicy.Limits, num_replicas: 1 }
  })
  const client = jetstream(connection)
  const peers = await protocolNamed(protocol).newPeers(prefix, 2 * pairs, 'ed25519')
  let isRunning = true
  let acknowledged = 0
  const publisher = async (pair: number) => {
    const { sealed } = protocolNamed(protocol).template(peers[pair]!, peers[pairs + pair]!, bodyBytes)
    const slot = async () => {
      for (let number = 0; isRunning; number++) {
        await client.publish(`${stream}.${pair}`, sealed.with(number))
        acknowledged += 1
      }
    }
    await Promise.all(Array.from({ length: window }, slot))
  }
  const publishing = Promise.all(Array.from({ length: pairs }, (_, pair) => publisher(pair)))
  try {
    await Promise.race([delay(warmUpMs), publishing])
    const began = { at: performance.now(), messages: acknowledged }
    mark('begin')
    await Promise.race([delay(measureMs), publishing])
    mark('end')
    const seconds = (performance.now() - began.at) / 1_000
    const messages = acknowledged - began.messages
    isRunning = false
    await publishing
    return { messages, seconds }
  } finally {
    isRunning = false
    await manager.streams.delete(stream).catch(() => {})
    await connection.close()
  }
}
