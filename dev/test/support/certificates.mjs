import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * @typedef {object} Certificates what a server shows for 127.0.0.1 and localhost, and whom it is believed by; files in PEM
 * @property {string} caFile
 * @property {string} certificateFile
 * @property {string} keyFile
 * @property {string} certificate
 * @property {string} key PKCS #8
 */

/**
 * A CA of its own, which nobody else trusts, and one certificate that it has signed. With the machine's openssl.
 *
 * @param {string} folder
 * @param {string} name begins the names of the files
 * @returns {Certificates}
 */
export function makeCertificates(folder, name) {
  const at = (file) => join(folder, `${name}-${file}`)
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe', timeout: 30_000 })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const ca = [
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    `/CN=${name} CA`,
  ]
  openssl('req', ...ca)
  openssl('req', ...newKey, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost')
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('names')]
  openssl('x509', '-req', '-in', at('server.csr'), '-out', at('server.pem'), ...signed)
  chmodSync(at('server.key'), 0o600)
  return {
    caFile: at('ca.pem'),
    certificateFile: at('server.pem'),
    keyFile: at('server.key'),
    certificate: readFileSync(at('server.pem'), 'utf8'),
    key: readFileSync(at('server.key'), 'utf8'),
  }
}
