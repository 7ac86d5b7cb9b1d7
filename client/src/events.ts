// A small typed event emitter for browsers and Node.

/** Adds handlers; `Map` names each event and its value. */
export interface Events<Map> {
  /** Calls `handler` on every such event until the returned function is called. */
  on<K extends keyof Map>(type: K, handler: (event: Map[K]) => void): () => void
  /** Calls `handler` on the next such event only. */
  once<K extends keyof Map>(type: K, handler: (event: Map[K]) => void): () => void
}

export interface Emitter<Map> extends Events<Map> {
  /**
   * Calls the handlers in the order they were added. The error of a handler goes to the console, so that it stops
   * neither the other handlers nor the caller, which is often the callback of a socket.
   */
  emit<K extends keyof Map>(type: K, event: Map[K]): void
}

export function createEmitter<Map>(): Emitter<Map> {
  const handlers: { [K in keyof Map]?: Set<(event: Map[K]) => void> } = {}

  const on: Emitter<Map>['on'] = (type, handler) => {
    const known = handlers[type] ?? new Set()
    handlers[type] = known
    // A wrapper each, so that one function added twice is called twice.
    const added: typeof handler = (event) => handler(event)
    known.add(added)
    return () => known.delete(added)
  }

  const once: Emitter<Map>['once'] = (type, handler) => {
    const stop = on(type, (event) => {
      stop()
      handler(event)
    })
    return stop
  }

  const emit: Emitter<Map>['emit'] = (type, event) => {
    for (const handler of [...(handlers[type] ?? [])]) {
      try {
        handler(event)
      } catch (cause) {
        console.error(`A handler of the event "${String(type)}" failed:`, cause)
      }
    }
  }

  return { on, once, emit }
}
