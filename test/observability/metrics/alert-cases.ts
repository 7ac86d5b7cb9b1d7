// For each alert: series that make it fire, and series near by that must not. Samples every 15 s, in promtool's notation.

export type Series = Readonly<Record<string, string>>

export interface AlertCase {
  /** Series beside those that decide, the same in every case. */
  readonly around?: Series
  /** Each fires one alert, which has these labels besides its name and severity. */
  readonly fires: readonly (readonly [series: Series, labels: Readonly<Record<string, string>>])[]
  readonly quiet: readonly Series[]
}

/** One server, as Prometheus names it. */
const AT = 'instance="relay:3005",job="demos-relay"'
const SERVER = { instance: 'relay:3005', job: 'demos-relay' }
const L2PS = { ...SERVER, protocol: 'l2ps' }

/** A gauge without labels that fires above a threshold: for long enough, at the threshold, for a moment. */
const above = (metric: string, threshold: number): AlertCase => {
  const name = `${metric}{${AT}}`
  const [more, much] = [threshold + 1, threshold * 100 + 1]
  return {
    fires: [[{ [name]: `${more}x240` }, SERVER]],
    quiet: [{ [name]: `${threshold}x240` }, { [name]: `0x118 ${much}x1 0x120` }]
  }
}
const aboveByProtocol = (metric: string, threshold: number): AlertCase => {
  const name = (protocol: string) => `${metric}{${AT},protocol="${protocol}"}`
  return {
    around: { [name('signaling')]: '0x240' },
    fires: [[{ [name('l2ps')]: `${threshold + 1}x240` }, L2PS]],
    quiet: [{ [name('l2ps')]: `${threshold}x240` }]
  }
}

const certificate = `demos_relay_tls_certificate_expiry_timestamp_seconds{${AT}}`
const rejected = (reason: string) => `demos_relay_messages_rejected_total{${AT},protocol="l2ps",reason="${reason}"}`
const accepted = (route: string) => `demos_relay_messages_accepted_total{${AT},protocol="l2ps",route="${route}"}`
const delivered = (receipt: string) =>
  `demos_relay_messages_delivered_total{${AT},protocol="l2ps",receipt="${receipt}"}`
const closed = (reason: string) => `demos_relay_sockets_closed_total{${AT},protocol="l2ps",reason="${reason}"}`
const sockets = (protocol: string) => `demos_relay_sockets{${AT},protocol="${protocol}"}`
const refused = (reason: string) => `demos_relay_sockets_refused_total{${AT},reason="${reason}"}`
const proofs = (result: string) => `demos_relay_proofs_total{${AT},algorithm="ml-dsa",result="${result}"}`
const pongs = `demos_relay_proxy_pongs_total{${AT},protocol="l2ps"}`
const redelivered = `demos_relay_messages_redelivered_total{${AT},protocol="l2ps"}`
const ready = `demos_relay_ready{${AT}}`
const up = `up{${AT}}`
const expired = `demos_relay_messages_expired_total{${AT}}`
const unanswered = `demos_relay_database_unanswered_total{${AT}}`

/** All are looked at after 30 minutes. */
export const ALERT_CASES: Readonly<Record<string, AlertCase>> = {
  RelayDown: {
    fires: [
      [{ [up]: '1x110 0x130' }, SERVER],
      [{ 'up{job="another"}': '1x240' }, { job: 'demos-relay' }]
    ],
    quiet: [{ [up]: '1x240' }, { [up]: '1x118 0x1 1x120' }]
  },
  RelayNotReady: {
    fires: [[{ [ready]: '1x110 0x130' }, SERVER]],
    quiet: [{ [ready]: '1x240' }, { [ready]: '1x118 0x1 1x120' }]
  },
  RelayDeliveryStalled: aboveByProtocol('demos_relay_delivery_stalled_seconds', 60),
  RelayMessagesNotStored: {
    around: { [accepted('live')]: '0+100x240', [rejected('quota')]: '0+10x240' },
    fires: [
      [{ [rejected('unavailable')]: '0+1x240', [rejected('busy')]: '0x240' }, L2PS],
      [{ [rejected('unavailable')]: '0x240', [rejected('busy')]: '0+1x240' }, L2PS]
    ],
    quiet: [{ [rejected('unavailable')]: '7x240', [rejected('busy')]: '0x240' }]
  },
  RelayDatabaseOldSnapshot: above('demos_relay_database_oldest_snapshot_seconds', 900),
  RelayDatabaseUnanswered: {
    fires: [[{ [unanswered]: '0+1x240' }, SERVER]],
    quiet: [{ [unanswered]: '25x240' }]
  },
  RelayCommitsBehind: aboveByProtocol('demos_relay_commit_waiting_messages', 5_000),
  RelayRejectsMany: {
    around: { [accepted('live')]: '0+50x240', [accepted('queued')]: '0+50x240', [rejected('unavailable')]: '0x240' },
    fires: [
      [{ [rejected('quota')]: '0+6x240' }, L2PS],
      [{ [rejected('recipient_full')]: '0+3x240', [rejected('duplicate')]: '0+3x240' }, L2PS]
    ],
    quiet: [{ [rejected('quota')]: '0+5x240' }, { [rejected('busy')]: '0+50x240', [rejected('quota')]: '0x240' }]
  },
  RelayRedelivers: {
    around: { [delivered('pong')]: '0+50x240', [delivered('ack')]: '0+50x240' },
    fires: [[{ [redelivered]: '0+2x240' }, L2PS]],
    quiet: [{ [redelivered]: '0+1x240' }, { [redelivered]: '900x240' }]
  },
  RelayMessagesExpire: {
    fires: [[{ [expired]: '0x60 5x180' }, SERVER]],
    quiet: [{ [expired]: '5x240' }]
  },
  RelayProxyPongs: {
    fires: [[{ [pongs]: '0x100 1x140' }, L2PS]],
    quiet: [{ [pongs]: '1x240' }, { [pongs]: '0x20 1x220' }]
  },
  RelaySlowCloses: {
    around: { [closed('peer')]: '0+100x240', [`demos_relay_sessions{${AT},protocol="l2ps"}`]: '980x240' },
    fires: [[{ [closed('unresponsive')]: '0+2x240' }, L2PS]],
    quiet: [{ [closed('unresponsive')]: '0+1x240' }]
  },
  RelayFull: {
    fires: [[{ [refused('full')]: '0x110 3x130' }, SERVER]],
    quiet: [{ [refused('full')]: '3x240', [refused('origin')]: '0+1x240' }]
  },
  RelayNearlyFull: {
    around: { [`demos_relay_connections_limit{${AT}}`]: '100x240' },
    fires: [[{ [sockets('l2ps')]: '41x240', [sockets('signaling')]: '40x240' }, SERVER]],
    quiet: [
      { [sockets('l2ps')]: '40x240', [sockets('signaling')]: '40x240' },
      { [sockets('l2ps')]: '40x110 90x10 40x120', [sockets('signaling')]: '1x240' }
    ]
  },
  RelayDescriptorsNearlyUsed: {
    around: { [`process_max_fds{${AT}}`]: '1000x240' },
    fires: [[{ [`process_open_fds{${AT}}`]: '801x240' }, SERVER]],
    quiet: [{ [`process_open_fds{${AT}}`]: '800x240' }, {}]
  },
  RelayDiskNearlyFull: {
    around: { [`demos_relay_data_directory_total_bytes{${AT}}`]: '1000x240' },
    fires: [[{ [`demos_relay_data_directory_free_bytes{${AT}}`]: '99x240' }, SERVER]],
    quiet: [{ [`demos_relay_data_directory_free_bytes{${AT}}`]: '100x240' }, {}]
  },
  RelayProofsBusy: {
    around: { [proofs('valid')]: '0+10x240', [proofs('invalid')]: '0+1x240' },
    fires: [[{ [proofs('busy')]: '0+1x240' }, SERVER]],
    quiet: [{ [proofs('busy')]: '0x240' }]
  },
  RelayEventLoopLag: above('demos_relay_event_loop_lag_p99_seconds', 0.25),
  RelayCertificateExpires: {
    fires: [[{ [certificate]: `${13 * 86_400}x240` }, SERVER]],
    quiet: [{ [certificate]: `${20 * 86_400}x240` }, {}]
  },
  RelayQueueFiguresOld: above('demos_relay_queue_figures_age_seconds', 300),
  RelayAuditHalted: above('demos_relay_audit_halted_logs', 0),
  RelayAuditCheckpointOld: above('demos_relay_audit_checkpoint_age_seconds', 120),
  RelayAuditAnchorLag: above('demos_relay_audit_anchor_lag_seconds', 1_800)
}
