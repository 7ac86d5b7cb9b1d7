import { Counter, Gauge, Registry } from 'prom-client'
import { VERSION } from './version.ts'

/** The numbers this server counts. Label values come from lists in our source, never from peers. */
export interface RelayMetrics {
  readonly registry: Registry
  readonly framesReceived: Counter<'protocol'>
  readonly frameBytes: Counter<'protocol'>
  readonly framesRefused: Counter<'protocol' | 'code'>
  readonly accepted: Counter<'protocol' | 'route'>
  readonly delivered: Counter<'protocol' | 'receipt'>
  readonly proxyPongs: Counter<'protocol'>
  readonly expired: Counter
  counter(name: string, help: string): Counter
  /** A number read when Prometheus asks: never a query. */
  gauge(name: string, help: string, read: () => number): void
}

/** A registry of its own, so that two servers can live in one process. */
export function createMetrics(): RelayMetrics {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: `demos_relay_${name}`, help, labelNames, registers })
  new Gauge({
    name: 'demos_relay_build_info',
    help: 'Always 1; the version is a label.',
    labelNames: ['version'],
    registers
  })
    .labels(VERSION)
    .set(1)
  return {
    registry,
    framesReceived: counter('frames_received_total', 'Frames received from sockets.', ['protocol']),
    frameBytes: counter('frames_received_bytes_total', 'Bytes of the frames received from sockets.', ['protocol']),
    framesRefused: counter('frames_refused_total', 'Frames answered with an error, by its code.', ['protocol', 'code']),
    accepted: counter('messages_accepted_total', 'Messages handed over, by what became of them.', [
      'protocol',
      'route'
    ]),
    delivered: counter('messages_delivered_total', 'Messages received, by the strength of the receipt.', [
      'protocol',
      'receipt'
    ]),
    proxyPongs: counter('proxy_pongs_total', 'Sessions whose pings a proxy answers: their receipts mean nothing.', [
      'protocol'
    ]),
    counter: (name, help) => counter(name, help, []),
    expired: counter('messages_expired_total', 'Messages that were never received in time.', []),
    gauge: (name, help, read) => {
      new Gauge({
        name: `demos_relay_${name}`,
        help,
        registers,
        collect() {
          this.set(read())
        }
      })
    }
  }
}
