import type { RelayMetrics } from '../metrics.ts'
import type { ReceiptSettings, ReceiptStrength } from './receipts.ts'
import type { SessionProtocol } from './session.ts'

/** What an operator sets about receipts. */
export type ReceiptOptions = Pick<ReceiptSettings, 'mode' | 'graceMs' | 'window'>

/** The receipts of one protocol, counted in its metrics. */
export function receiptSettings(
  protocol: SessionProtocol['name'],
  options: ReceiptOptions,
  metrics: RelayMetrics,
  log: { warn(facts: object, message: string): void }
): ReceiptSettings {
  const counted = (receipt: ReceiptStrength) => metrics.delivered.labels(protocol, receipt)
  const delivered = { ack: counted('ack'), pong: counted('pong'), none: counted('none') }
  return {
    ...options,
    delivered: (receipt) => delivered[receipt].inc(),
    proxyFound: () => {
      metrics.proxyPongs.inc({ protocol })
      log.warn({ protocol }, 'a proxy answers pings for a peer: its messages count as received when they are written')
    }
  }
}
