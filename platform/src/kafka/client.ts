import { Kafka, logLevel, type LogEntry } from 'kafkajs'
import type { Logger } from 'pino'
import { securityOf, type KafkaConnection } from './connection'
import { keepMembershipWithoutNode } from './fetch-faults'
import { createRepetitionLimit } from './repeated-lines'
import { guardRequestQueue } from './request-queue'
import { socketFactory } from './sockets'

export interface KafkaOptions extends KafkaConnection {
  /** Names the process in the brokers' logs and metrics. */
  clientId: string
  log: Logger
}

/** kafkajs reports as errors what it then retries; the adapter says itself what has failed for good. */
const pinoLevel = { [logLevel.ERROR]: 'warn', [logLevel.WARN]: 'info', [logLevel.INFO]: 'debug' } as const

/** While Kafka is away each client would say so several times a second. */
export const repeatedEveryMs = 30_000

const toPino = (log: Logger) => {
  const limit = createRepetitionLimit(repeatedEveryMs)
  return ({ level, namespace, log: entry }: LogEntry) => {
    const { message, timestamp: _, logger: __, stack: ___, ...facts } = entry
    const pinoName = pinoLevel[level as keyof typeof pinoLevel] ?? 'trace'
    const isSaid = level === logLevel.ERROR || level === logLevel.WARN
    const keptBack = isSaid ? limit(`${namespace} ${message}`) : 0
    if (keptBack === undefined) return
    log[pinoName]({ part: namespace, ...facts, ...(keptBack > 0 ? { keptBack } : {}) }, `kafkajs: ${message}`)
  }
}

/** The level from which kafkajs need not even build the entry. */
const levelFor = (log: Logger) =>
  log.isLevelEnabled('trace') ? logLevel.DEBUG : log.isLevelEnabled('debug') ? logLevel.INFO : logLevel.WARN

/** Of what writes: replicas of a frozen node are waited for until the cluster has put them out of sync, 9 s with Kafka's defaults. */
export const requestTimeoutMs = 10_000
/**
 * Of what reads and asks: answered at once by a node that lives (a fetch waits 250 ms), and while it is waited for, its partitions
 * stand still although others lead them by then. kafkajs lets slow requests (join) take longer.
 */
export const readTimeoutMs = 4_000
export const connectionTimeoutMs = 3_000

/** kafkajs asks the first one first: another one each time, so that one dead broker is not in everybody's way. */
export const inRandomOrder = (brokers: readonly string[]): string[] => [...brokers].sort(() => Math.random() - 0.5)

/**
 * kafkajs' logger for those who hear of every error themselves and report it: it speaks at level `trace` only. Otherwise
 * it would print a line for each CONCURRENT_TRANSACTIONS, hundreds a minute.
 */
export function silentLogger({ brokers, clientId, log }: KafkaOptions) {
  guardRequestQueue()
  const traced = log.isLevelEnabled('trace')
  return new Kafka({
    clientId,
    brokers: [...brokers],
    logLevel: traced ? logLevel.DEBUG : logLevel.NOTHING,
    logCreator: () => (entry) => log.trace({ part: entry.namespace, ...entry.log }, 'kafkajs'),
  }).logger()
}

/** @param retries of the library. */
export function createKafka(options: KafkaOptions, retries: number): Kafka {
  const { brokers, clientId, log } = options
  guardRequestQueue()
  keepMembershipWithoutNode()
  return new Kafka({
    clientId,
    brokers: inRandomOrder(brokers),
    ...securityOf(options),
    socketFactory,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: readTimeoutMs,
    retry: { retries, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: levelFor(log),
    logCreator: () => toPino(log),
  })
}
