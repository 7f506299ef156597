import ConsumerGroup, { type FetchFault } from 'kafkajs/src/consumer/consumerGroup'
import { pause } from '../backoff'
import type { TopicPartition } from './ports'

/** A node that has ended is seen as gone by the cluster within seconds; until then its partitions have no other leader. */
const askAgainMs = 250

/** What says that one node does not answer, and nothing about the group. */
const silent = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
])

const isSilence = (error: FetchFault | undefined): boolean =>
  error !== undefined && (silent.has(error.name) || (error.cause !== error && isSilence(error.cause)))

/** By group: what is done about a partition that does not reach as far as it was read. */
const outOfRange = new Map<string, Set<(place: TopicPartition) => void>>()

/**
 * In kafkajs a partition that was cut, or made anew, is read from its beginning as if nothing had happened, and that is committed to the
 * group. Here whoever knows where its effects stand is told instead.
 * @returns what ends it.
 */
export function onOutOfRange(groupId: string, tell: (place: TopicPartition) => void): () => void {
  const told = outOfRange.get(groupId) ?? new Set()
  outOfRange.set(groupId, told.add(tell))
  return () => {
    told.delete(tell)
    if (told.size === 0) outOfRange.delete(groupId)
  }
}

let kept = false

/**
 * In kafkajs 2.2.4 fetches from one node that is gone or frozen end the consumer. It leaves the group and joins again
 * as another member. While the coordinator waits for the former member, no partition flows, not even those of the
 * living nodes. Here the silent node is forgotten and the cluster asked who leads now; what other nodes lead flows
 * on, under the same membership. When nobody answers, or the silent node is the group's coordinator, it is the
 * library's to end and join anew, as before.
 */
export function keepMembershipWithoutNode(): void {
  if (kept) return
  kept = true
  const { recoverFromFetch, recoverFromOffsetOutOfRange, fetch } = ConsumerGroup.prototype
  // That the silence reaches `fetch`, which knows whose it was.
  ConsumerGroup.prototype.recoverFromFetch = async function (this: ConsumerGroup, error) {
    if (isSilence(error)) throw error
    return recoverFromFetch.call(this, error)
  }
  ConsumerGroup.prototype.recoverFromOffsetOutOfRange = async function (this: ConsumerGroup, error) {
    const told = outOfRange.get(this.groupId)
    if (!told) return recoverFromOffsetOutOfRange.call(this, error)
    const { topic, partition } = error
    for (const tell of told) tell({ topic, partition })
  }
  ConsumerGroup.prototype.fetch = async function (this: ConsumerGroup, nodeId) {
    try {
      return await fetch.call(this, nodeId)
    } catch (error) {
      if (!isSilence(error as FetchFault) || String(this.coordinator?.nodeId) === String(nodeId)) throw error
      const { brokerPool } = this.cluster
      const node = brokerPool.brokers[nodeId]
      // Forgotten before the cluster is asked: it might be the one that is asked.
      if (node) brokerPool.removeBroker(node.connectionPool)
      void node?.disconnect().catch(() => undefined)
      await pause(askAgainMs)
      await this.cluster.refreshMetadata()
      return []
    }
  }
}
