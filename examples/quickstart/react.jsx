// One hook that connects to a relay, and a page that uses it. Messages sent while offline wait in IndexedDB.
//
//     npm install demos-relay-client react react-dom
//     npx esbuild react.jsx --bundle --jsx=automatic --format=esm --outfile=app.js
import { createSignalingClient } from 'demos-relay-client'
import { indexedDbStorage, openOutbox } from 'demos-relay-client/outbox'
import { useCallback, useEffect, useRef, useState } from 'react'

/** `identity`: of createIdentity(), made once. */
export function useRelay({ url, clientId, identity }) {
  const [messages, setMessages] = useState([])
  const [state, setState] = useState('connecting')
  const outbox = useRef()

  useEffect(() => {
    const onMessage = async (message) => setMessages((known) => [...known, message])
    const client = createSignalingClient({ url, clientId, identity, onMessage })
    client.events.on('connected', () => setState('connected'))
    client.events.on('disconnected', ({ willReconnect }) => setState(willReconnect ? 'connecting' : 'closed'))
    outbox.current = openOutbox(client, { storage: indexedDbStorage('demos-relay') })
    const opened = outbox.current
    client.connect().catch((error) => setState(error.message))
    return () => {
      opened.then((box) => box.close())
      client.close()
    }
  }, [url, clientId, identity])

  const send = useCallback(async (to, text) => (await outbox.current).send(to, text), [])
  return { state, messages, send }
}

export function Chat({ to, ...me }) {
  const { state, messages, send } = useRelay(me)
  const [text, setText] = useState('')
  const submit = (event) => {
    event.preventDefault()
    send(to, text).then(() => setText(''))
  }
  const lines = messages.map(({ from, text }) => `${from}: ${text}`)
  return (
    <form onSubmit={submit}>
      <p>{`${me.clientId}: ${state}`}</p>
      <pre>{lines.join('\n')}</pre>
      <input aria-label={`To ${to}`} value={text} onChange={(event) => setText(event.target.value)} />
      <button type="submit">Send</button>
    </form>
  )
}
