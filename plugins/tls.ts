// plugins/tls.ts: serves a renewed certificate as soon as its files hold it.
import fp from 'fastify-plugin'
import { setCertificate } from '../src/http/listener.ts'
import type { Certificate, CertificateFiles } from '../src/http/tls/certificate.ts'
import { CertificateWatch } from '../src/http/tls/certificate-watch.ts'

export interface TlsOptions {
  readonly files: CertificateFiles
  /** The certificate that the listeners were made with. */
  readonly certificate: Certificate
  /** Tests pass a clock of their own. */
  readonly now: () => number
}

/** Sockets that are open keep the certificate they were opened with; new ones get the new one. */
export default fp<TlsOptions>(
  async (app, { files, certificate, now }) => {
    const { log, metrics } = app
    let { expiresAt } = certificate
    metrics.onRead(() => {
      metrics.tlsCertificateExpiry.at().value = expiresAt / 1_000
    })
    const tell = (message: string) => {
      const validUntil = new Date(expiresAt).toISOString()
      if (expiresAt < now()) log.warn({ validUntil }, `${message}: it has expired`)
      else log.info({ validUntil }, message)
    }
    tell('TLS certificate read')
    const watch = new CertificateWatch(files, certificate, {
      renewed: (renewed) => {
        for (const listener of [app.server, app.sockets.l2psListener, app.adminListener.server]) {
          if (listener !== undefined) setCertificate(listener, renewed.context)
        }
        expiresAt = renewed.expiresAt
        tell('TLS certificate renewed')
      },
      broken: ({ message }) => log.warn({ reason: message }, 'TLS certificate not renewed: the old one is kept')
    })
    app.addHook('onClose', async () => watch.stop())
  },
  { name: 'tls', fastify: '5.x', dependencies: ['admin-listener', 'metrics', 'sockets'] }
)
