// The little we need of a WebSocket, and where to find one.

/** What browsers, Node 22 and the `ws` package have in common. */
export interface WebSocketLike {
  readonly readyState: number
  readonly bufferedAmount: number
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(data: string): void
  close(code?: number, reason?: string): void
  /** `ws` only: cut the connection without a handshake. */
  terminate?(): void
}

export type WebSocketConstructor = new (url: string) => WebSocketLike

/**
 * The platform's own WebSocket, else the `ws` package (Node 20 has none). Browsers never get to the import, and its
 * name is not a literal, so a bundler neither follows it nor needs `ws` to be installed.
 */
export async function findWebSocket(): Promise<WebSocketConstructor> {
  if (typeof globalThis.WebSocket === 'function') return globalThis.WebSocket
  const nodePackage: string = 'ws'
  const found: typeof import('ws') = await import(/* webpackIgnore: true */ /* @vite-ignore */ nodePackage)
  return found.WebSocket
}
