import type { RelayMetrics } from '../observability/metrics.ts'
import type { SessionProtocol } from '../session/session.ts'
import type { ReceiptSettings } from './receipts.ts'

/** What an operator sets about receipts. */
export type ReceiptOptions = Pick<ReceiptSettings, 'mode' | 'graceMs' | 'window'>

/** The receipts of one protocol, counted in its metrics. */
export function receiptSettings(
  protocol: SessionProtocol['name'],
  options: ReceiptOptions,
  metrics: RelayMetrics,
  log: { warn(facts: object, message: string): void }
): ReceiptSettings {
  const proxyPongs = metrics.proxyPongs.at({ protocol })
  return {
    ...options,
    counts: {
      delivered: metrics.delivered.by('receipt', { protocol }),
      redelivered: metrics.redelivered.at({ protocol }),
      deliverySeconds: metrics.deliverySeconds.at({ protocol }),
      roundTripSeconds: metrics.receiptSeconds.at({ protocol })
    },
    proxyFound: () => {
      proxyPongs.inc()
      log.warn({ protocol }, 'a proxy answers pings for a peer: its messages count as received when they are written')
    }
  }
}
