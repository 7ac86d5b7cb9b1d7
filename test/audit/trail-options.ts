// Apart from the other helpers: the process of crashing-sequencer.ts, which is started some thirty times, needs no more.
export interface TrailSettings {
  readonly url?: string
  readonly dataDir?: string
  readonly batchEvents?: number
  /** Default: node.key in the data directory. */
  readonly nodeKeyFile?: string
}

export const trailOptions = (dataDir: string, settings: TrailSettings = {}) => ({
  dataDir,
  nodeKeyFile: settings.nodeKeyFile,
  origin: 'relay.example/logs',
  intervalMs: 50,
  batchEvents: settings.batchEvents ?? 100,
  anchorIntervalMs: 0,
  now: Date.now
})
