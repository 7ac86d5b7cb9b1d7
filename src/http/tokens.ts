// Named tokens of the administration: a JSON file that holds their SHA-256 digests, never the tokens.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

/** `admin` may do everything, `viewer` only read. */
export const ROLES = ['admin', 'viewer'] as const
export type Role = (typeof ROLES)[number]

/** Who asks: the name and the role of a token. */
export interface TokenHolder {
  readonly name: string
  readonly role: Role
}

/** The name of ADMIN_TOKEN, or of the token that the server made for itself. */
export const FIRST_TOKEN = 'admin'

export const TokenName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  'x-allowed': '1 to 64 letters, digits, dots, - and _, a letter or digit first'
})

const NamedToken = Type.Object(
  {
    name: TokenName,
    role: Type.Union(ROLES.map((role) => Type.Literal(role))),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', 'x-allowed': '64 hexadecimal digits' }),
    createdAt: Type.String()
  },
  { additionalProperties: false }
)
const TokenList = Type.Array(NamedToken, { maxItems: 1_000 })
export type NamedToken = Static<typeof NamedToken>

/** Random bytes of a token that is made here: too many to guess, so its digest needs no salt. */
const MADE_BYTES = 32

export const makeToken = (): string => randomBytes(MADE_BYTES).toString('base64url')

export const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** The tokens of the file; none when there is no file. Throws one sentence when it is not what it should be. */
export async function readTokens(path: string): Promise<NamedToken[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    throw new Error(`the tokens in ${path} cannot be read (${code})`)
  }
  const list = parsed(text)
  if (list === undefined) throw new Error(`${path} is not a list of tokens as "demos-relay token" writes it`)
  const names = list.map(({ name }) => name)
  if (new Set(names).size < names.length || names.includes(FIRST_TOKEN))
    throw new Error(`${path} has two tokens of one name, or one called ${FIRST_TOKEN}`)
  return list
}

function parsed(text: string): NamedToken[] | undefined {
  try {
    const list: unknown = JSON.parse(text)
    return Value.Check(TokenList, list) ? list : undefined
  } catch {
    return undefined
  }
}

/** Changes the file, whole or not at all. While another command is changing it, this one is refused. */
export async function changeTokens(
  path: string,
  change: (tokens: readonly NamedToken[]) => readonly NamedToken[]
): Promise<void> {
  const draft = `${path}.new`
  const file = await open(draft, 'wx', 0o600).catch(({ code }: NodeJS.ErrnoException) => {
    const reason =
      code === 'EEXIST' ? 'it is there: another command may be changing the tokens; if not, delete it' : code
    throw new Error(`${draft} cannot be made (${reason})`)
  })
  try {
    await file.writeFile(`${JSON.stringify(change(await readTokens(path)), null, 2)}\n`)
    await file.sync()
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** The tokens of a file as a server uses them: read again when the file changes, so that a revoked one ends at once. */
export class TokenFile {
  readonly #path: string
  readonly #complain: (error: Error) => void
  #version = ''
  #tokens: readonly { readonly holder: TokenHolder; readonly digest: Buffer }[] = []

  /** `complain` hears of a file that became unreadable: the tokens read before stay in use. */
  private constructor(path: string, complain: (error: Error) => void) {
    this.#path = path
    this.#complain = complain
  }

  /** Rejects when the file is not what it should be. */
  static async open(path: string, complain: (error: Error) => void): Promise<TokenFile> {
    const file = new TokenFile(path, complain)
    await file.#load(await file.#currentVersion())
    return file
  }

  /** Whose token this is. Compares with every one, so that the time tells nothing. */
  async holderOf(guess: string): Promise<TokenHolder | undefined> {
    const version = await this.#currentVersion()
    if (version !== this.#version) await this.#load(version).catch(this.#complain)
    const digest = digestOf(guess)
    return this.#tokens.filter((token) => timingSafeEqual(token.digest, digest))[0]?.holder
  }

  async #currentVersion(): Promise<string> {
    try {
      const { ino, size, mtimeMs } = await stat(this.#path)
      return [ino, size, mtimeMs].join()
    } catch {
      return 'none'
    }
  }

  async #load(version: string): Promise<void> {
    this.#version = version // also of a file that is wrong: it is complained of once
    const tokens = await readTokens(this.#path)
    this.#tokens = tokens.map(({ name, role, sha256 }) => ({
      holder: { name, role },
      digest: Buffer.from(sha256, 'hex')
    }))
  }
}
