// Passwords from a file in the format of libpq (PostgreSQL manual, "The Password File"), read at each connect.
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Place, Target } from './connection-string.ts'

/** The password of the connection string, else the one that the password file has for this host, database and user. */
export async function passwordFor(
  { password, parameters }: Target,
  place: Place,
  user: string,
  database: string
): Promise<string | undefined> {
  if (password !== undefined) return password
  const path = parameters.passfile ?? process.env.PGPASSFILE ?? usualPath()
  const text = path === undefined ? '' : await readFile(path, 'utf8').catch(() => '')
  const wanted = [place.host, String(place.port), database, user]
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const fields = fieldsOf(line)
    if (fields.length === 5 && wanted.every((each, at) => fields[at] === '*' || fields[at] === each)) return fields[4]
  }
  return undefined
}

/** Separated by colons; a backslash takes the next character as it is. */
const fieldsOf = (line: string): string[] =>
  (line.match(/(?:^|:)((?:\\.|[^:\\])*)/g) ?? []).map((field, at) =>
    (at === 0 ? field : field.slice(1)).replace(/\\(.)/g, '$1')
  )

function usualPath(): string | undefined {
  try {
    return join(homedir(), '.pgpass')
  } catch {
    return undefined // neither HOME nor a passwd entry
  }
}
