import kafkajs from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'

const { Kafka, logLevel } = kafkajs

/** A node that is up answers within milliseconds; one that does not is asked no longer. */
const askMsMax = 3_000
const lookEveryMs = 250
/** A node that was killed checks its logs, and fetches what it missed. */
const inSyncMsMax = 180_000
/** `offsets.topic.num.partitions`, `transaction.state.log.num.partitions`: Kafka's own numbers. */
const internalPartitions = 50

/** Of an internal topic: by Java's `String.hashCode` Kafka spreads groups and transactional ids over them. */
export const coordinatorPartition = (name) =>
  Math.abs([...name].reduce((hash, character) => (Math.imul(hash, 31) + character.charCodeAt(0)) | 0, 0)) %
  internalPartitions

/**
 * What a cluster says about itself.
 *
 * @param {{ name: string, broker: string }[]} nodes in order of their node ids, from 1
 * @param {{ signal: AbortSignal }} options
 */
export function openCluster(nodes, { signal }) {
  /** Names of nodes that are down or frozen now: they are not asked. */
  const away = new Set()
  const nameOf = (nodeId) => nodes[nodeId - 1].name

  /** @template T @param {(admin: import('kafkajs').Admin) => Promise<T>} question @returns {Promise<T>} */
  async function ask(question) {
    const kafka = new Kafka({
      clientId: 'annals-faults',
      brokers: nodes.filter(({ name }) => !away.has(name)).map(({ broker }) => broker),
      connectionTimeout: askMsMax,
      requestTimeout: askMsMax,
      retry: { retries: 0 },
      logLevel: logLevel.NOTHING,
    })
    const admin = kafka.admin()
    try {
      await admin.connect()
      return await question(admin)
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }

  /** @returns {Promise<{ topic: string, partition: number, leader: number, inSync: number }[]>} */
  async function partitions() {
    const { topics } = await ask((admin) => admin.fetchTopicMetadata())
    return topics.flatMap(({ name, partitions: found }) =>
      found.map(({ partitionId, leader, isr }) => ({
        topic: name,
        partition: partitionId,
        leader,
        inSync: isr.length,
      })),
    )
  }

  return {
    away,
    /**
     * The node that leads a partition now.
     *
     * @param {string} topic
     * @param {number} partition
     * @returns {Promise<string>} its name
     */
    async leaderOf(topic, partition) {
      const found = (await partitions()).find((each) => each.topic === topic && each.partition === partition)
      if (!found || found.leader < 1) throw new Error(`${topic}/${partition} has no leader`)
      return nameOf(found.leader)
    },

    /** Resolves when every partition has a leader and all its replicas in sync. @throws after 3 minutes */
    async inSync() {
      const deadline = Date.now() + inSyncMsMax
      for (let last = 'nothing was answered'; ; await delay(lookEveryMs, undefined, { signal })) {
        try {
          const behind = (await partitions()).filter(({ leader, inSync }) => leader < 1 || inSync < nodes.length)
          if (behind.length === 0) return
          last = `${behind.length} partitions are not, ${behind[0].topic}/${behind[0].partition} among them`
        } catch (error) {
          last = error.message
        }
        if (Date.now() > deadline) throw new Error(`the cluster was not in sync after ${inSyncMsMax / 1000} s: ${last}`)
      }
    },
  }
}
