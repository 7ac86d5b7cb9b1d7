// Where a server keeps its files, besides the database.
import { join } from 'node:path'

/** The admin token that the server made for itself. */
export const adminTokenFile = (dataDir: string): string => join(dataDir, 'admin.token')

/** Further tokens with names and roles. `given`: TOKENS_FILE. */
export const tokensFile = (dataDir: string, given: string | undefined): string => given ?? join(dataDir, 'tokens.json')

/** The last signed checkpoint of each audit log. */
export const auditDirectory = (dataDir: string): string => join(dataDir, 'audit')

/** The ed25519 key (PKCS#8 PEM) that signs the audit logs. `given`: NODE_KEY_FILE. */
export const nodeKeyFile = (dataDir: string, given: string | undefined): string => given ?? join(dataDir, 'node.key')

/** The directories of L2PS networks that are configured by files. `given`: L2PS_DIR. */
export const networksDirectory = (dataDir: string, given: string | undefined): string => given ?? join(dataDir, 'l2ps')
