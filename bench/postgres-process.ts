// A private Postgres with the same settings as the embedded one, in a process of its own: it ends with the benchmark.
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/database/embedded/embedded-postgres.ts'
import { answerParent } from './parent.ts'

const ignore = () => {}
const problem = (facts: object, message: string) => void process.stderr.write(`${message} ${JSON.stringify(facts)}\n`)

let server: EmbeddedPostgres | undefined

answerParent(
  {
    start: async ({ home }: { home: string }) => {
      server = await startEmbeddedPostgres(home, { debug: ignore, info: ignore, warn: problem, error: problem })
      return { url: server.url('postgres'), pid: server.pid() }
    }
  },
  async () => server?.stop()
)
