/** The SQLSTATE of an error that PostgreSQL answered with, or the code of a system error. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}
