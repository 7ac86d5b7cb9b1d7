// Where the application keeps what must outlive a page or a process.

/** Keeps values by key; every value is plain JSON. The application may bring its own: a file, a table, an encrypted store. */
export interface ClientStorage {
  get(key: string): Promise<unknown>
  /** Resolves when the value is kept. */
  set(key: string, value: unknown): Promise<void>
  delete(key: string): Promise<void>
  /** The pairs whose key begins with `prefix`, in the order of their keys. */
  entries(prefix: string): Promise<[key: string, value: unknown][]>
}

/** Keeps values as long as the process or the page lives. */
export function memoryStorage(): ClientStorage {
  const values = new Map<string, string>()
  return {
    get: async (key) => {
      const text = values.get(key)
      return text === undefined ? undefined : JSON.parse(text)
    },
    set: async (key, value) => void values.set(key, JSON.stringify(value)),
    delete: async (key) => void values.delete(key),
    entries: async (prefix) =>
      [...values.keys()]
        .filter((key) => key.startsWith(prefix))
        .sort()
        .map((key) => [key, JSON.parse(values.get(key)!)])
  }
}

const STORE = 'values'

/** Keeps values in the browser's database of this name, which lasts until the user clears the site's data. */
export function indexedDbStorage(database: string): ClientStorage {
  let opened: Promise<IDBDatabase> | undefined
  const open = () => {
    opened ??= openDatabase(database)
    return opened.catch((cause) => {
      opened = undefined
      throw cause
    })
  }
  const write = async (act: (store: IDBObjectStore) => void): Promise<void> => {
    const transaction = (await open()).transaction(STORE, 'readwrite', { durability: 'strict' })
    act(transaction.objectStore(STORE))
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error('The browser did not keep the value'))
    })
  }
  const read = async () => (await open()).transaction(STORE).objectStore(STORE)
  return {
    get: async (key) => done((await read()).get(key)),
    set: (key, value) => write((store) => store.put(value, key)),
    delete: (key) => write((store) => store.delete(key)),
    entries: async (prefix) => {
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`)
      const store = await read()
      const [keys, values] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))])
      return keys.map((key, i) => [String(key), values[i]])
    }
  }
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => request.result.createObjectStore(STORE)
  return done(request)
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('The database of the browser failed'))
  })
}
