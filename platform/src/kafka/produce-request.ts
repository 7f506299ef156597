import type { Broker } from 'kafkajs/src/cluster'
import { decode, parse } from 'kafkajs/src/protocol/requests/produce/v7/response'
import type { TopicPartition } from './ports'

export interface EncodedPartition extends TopicPartition {
  /** A record batch. */
  batch: Buffer
  /** Records in it. */
  count: number
}

const produceKey = 0
/** Understood by every broker from 2.1 to 4.x. */
const produceVersion = 7
const acksOfAllReplicas = -1

function encodeProduce(transactionalId: string, timeoutMs: number, partitions: readonly EncodedPartition[]): Buffer {
  const byTopic = new Map<string, EncodedPartition[]>()
  for (const partition of partitions) {
    const ofTopic = byTopic.get(partition.topic)
    if (ofTopic) ofTopic.push(partition)
    else byTopic.set(partition.topic, [partition])
  }
  const size =
    2 +
    Buffer.byteLength(transactionalId) +
    2 +
    4 +
    4 +
    [...byTopic].reduce((sum, [topic]) => sum + 2 + Buffer.byteLength(topic) + 4, 0) +
    partitions.reduce((sum, { batch }) => sum + 8 + batch.length, 0)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  const text = (value: string) => {
    const length = Buffer.byteLength(value)
    at = bytes.writeInt16BE(length, at)
    at += bytes.write(value, at)
  }
  text(transactionalId)
  at = bytes.writeInt16BE(acksOfAllReplicas, at)
  at = bytes.writeInt32BE(timeoutMs, at)
  at = bytes.writeInt32BE(byTopic.size, at)
  for (const [topic, ofTopic] of byTopic) {
    text(topic)
    at = bytes.writeInt32BE(ofTopic.length, at)
    for (const { partition, batch } of ofTopic) {
      at = bytes.writeInt32BE(partition, at)
      at = bytes.writeInt32BE(batch.length, at)
      at += batch.copy(bytes, at)
    }
  }
  return bytes
}

/**
 * Sends record batches to the broker that leads their partitions, once, and asserts that every one of them was written.
 * @returns the offset of each batch's first record.
 * @throws KafkaJSProtocolError of the first refusal; Error when the answer does not speak of every partition.
 */
export async function produce(
  broker: Broker,
  transactionalId: string,
  timeoutMs: number,
  partitions: readonly EncodedPartition[],
): Promise<bigint[]> {
  const request = {
    apiKey: produceKey,
    apiVersion: produceVersion,
    apiName: 'Produce',
    encode: async () => {
      const bytes = encodeProduce(transactionalId, timeoutMs, partitions)
      return { buf: bytes, buffer: bytes }
    },
  }
  const { topics } = await broker.connectionPool.send({ request, response: { decode, parse } })
  const written = new Map(
    topics.flatMap(({ topicName, partitions }) =>
      partitions.map(({ partition, errorCode, baseOffset }) => [
        `${topicName}/${partition}`,
        errorCode === 0 ? BigInt(baseOffset) : -1n,
      ]),
    ),
  )
  return partitions.map(({ topic, partition }) => {
    const firstOffset = written.get(`${topic}/${partition}`) ?? -1n
    if (firstOffset < 0n) throw new Error(`${topic}/${partition} was not acknowledged`)
    return firstOffset
  })
}
