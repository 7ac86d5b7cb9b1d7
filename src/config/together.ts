import type { Config } from './schema.ts'

/** What settings that are fine one by one say wrong together: a line each. */
export function togetherMistakes(config: Partial<Config>): string[] {
  const mistakes: string[] = []
  if (config.ANCHOR === 'demos-rpc' && config.DEMOS_RPC_URL === undefined) {
    mistakes.push('DEMOS_RPC_URL must be set when ANCHOR is demos-rpc.')
  }
  if ((config.TLS_CERT_FILE === undefined) !== (config.TLS_KEY_FILE === undefined)) {
    mistakes.push('TLS_CERT_FILE and TLS_KEY_FILE must be set together.')
  }
  return mistakes
}
