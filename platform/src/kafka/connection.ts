import type { SASLOptions } from 'kafkajs'

/** The way to a cluster, for every client of it. */
export interface KafkaConnection {
  /** `host:port` of some brokers of the cluster; the others are found through them. */
  brokers: readonly string[]
  /** Default: plaintext. `ca` in PEM, instead of the public ones. */
  tls?: { ca?: string } | undefined
  /** Default: none. */
  sasl?: SASLOptions | undefined
}

/** `kafkaFields` as they were read. */
export interface KafkaSettings {
  KAFKA_BROKERS: readonly string[]
  KAFKA_TLS: boolean
  KAFKA_TLS_CA?: string | undefined
  KAFKA_SASL_MECHANISM?: SASLOptions['mechanism'] | undefined
  KAFKA_SASL_USERNAME?: string | undefined
  KAFKA_SASL_PASSWORD?: string | undefined
}

export function kafkaConnection(settings: KafkaSettings): KafkaConnection {
  const { KAFKA_TLS_CA: ca, KAFKA_SASL_MECHANISM: mechanism } = settings
  const { KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings
  return {
    brokers: settings.KAFKA_BROKERS,
    tls: settings.KAFKA_TLS ? (ca === undefined ? {} : { ca }) : undefined,
    sasl: mechanism && username && password ? ({ mechanism, username, password } as SASLOptions) : undefined,
  }
}

/** Of options that hold more. */
export const connectionOf = ({ brokers, tls, sasl }: KafkaConnection): KafkaConnection => ({ brokers, tls, sasl })

/** For the answers of SASL, and how long before a session's end it is renewed, in ms. Its cluster class has no defaults. */
const authentication = { authenticationTimeout: 10_000, reauthenticationThreshold: 10_000 }

/** As kafkajs and its cluster class take it. */
export const securityOf = ({ tls, sasl }: KafkaConnection) => ({
  ...authentication,
  ...(tls ? { ssl: tls.ca === undefined ? {} : { ca: [tls.ca] } } : {}),
  ...(sasl ? { sasl } : {}),
})
