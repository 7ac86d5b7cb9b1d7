// plugins/l2ps-registry.ts: which L2PS networks exist, and who may be in them.
import fp from 'fastify-plugin'
import { ensureDemoNetwork, type NetworkRegistry, openNetworkRegistry } from '../src/networks/registry.ts'

export interface L2psRegistryOptions {
  /** Where networks have their directories: L2PS_DIR. It need not exist. */
  directory: string
}

declare module 'fastify' {
  interface FastifyInstance {
    networks: NetworkRegistry
  }
}

/** Faults that readiness shows; it counts the others. */
const FAULTS_SHOWN = 20

export default fp<L2psRegistryOptions>(
  async (app, { directory }) => {
    const { database, log } = app
    const networks = await openNetworkRegistry({ directory, database, log })
    app.addHook('onClose', () => networks.close())
    await ensureDemoNetwork(networks, database, log)
    app.decorate('networks', networks)
    app.readiness.addDetails('l2ps', () => {
      const faults = networks.faults()
      return { networks: networks.list().length, faultCount: faults.length, faults: faults.slice(0, FAULTS_SHOWN) }
    })
  },
  { name: 'l2ps-registry', fastify: '5.x', dependencies: ['database', 'health'] }
)
