import type { Broker } from 'kafkajs/src/cluster'
import Decoder from 'kafkajs/src/protocol/decoder'

const metadataKey = 3
/** The first that asks by name and answers with ids, whatever else there is; understood by every broker from 3.1 to 4.x. */
const metadataVersion = 12

const unknownTopic = 3
const noTags = 0
const noTopicId = Buffer.alloc(16)

/** Lengths of the protocol's flexible versions: 7 bits a byte, the lowest first. */
function unsignedVarint(value: number): Buffer {
  const bytes: number[] = []
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left])
    bytes.push((left & 0x7f) | 0x80)
  }
}

/** A length of 0 stands for null, so that all others are one more. */
const compactString = (text: string) => {
  const bytes = Buffer.from(text)
  return Buffer.concat([unsignedVarint(bytes.length + 1), bytes])
}

/** With the tags that end the header of a flexible request, which kafkajs does not write. */
function encodeMetadata(topics: readonly string[]): Buffer {
  const asked = topics.flatMap((topic) => [noTopicId, compactString(topic), Buffer.from([noTags])])
  const [noCreation, noOperations] = [0, 0]
  return Buffer.concat([
    Buffer.from([noTags]),
    unsignedVarint(topics.length + 1),
    ...asked,
    Buffer.from([noCreation, noOperations, noTags]),
  ])
}

interface TopicMetadata {
  errorCode: number
  name: string | null
  id: string
}

/** @see https://kafka.apache.org/protocol#The_Messages_Metadata, version 12 */
function decodeMetadata(payload: Buffer): TopicMetadata[] {
  const bytes = new Decoder(payload)
  const int32s = () => bytes.readUVarIntArray((it) => it.readInt32())
  // Of the response's header.
  bytes.readTaggedFields()
  bytes.readInt32() // throttle time
  bytes.readUVarIntArray(() => {
    bytes.readInt32() // node
    bytes.readUVarIntString() // host
    bytes.readInt32() // port
    bytes.readUVarIntString() // rack
    bytes.readTaggedFields()
  })
  bytes.readUVarIntString() // cluster
  bytes.readInt32() // controller
  const topics = bytes.readUVarIntArray((): TopicMetadata => {
    const errorCode = bytes.readInt16()
    const name = bytes.readUVarIntString()
    const id = bytes.readBytes(16).toString('hex')
    bytes.readBoolean() // internal
    bytes.readUVarIntArray(() => {
      bytes.readInt16() // error
      bytes.readInt32() // partition
      bytes.readInt32() // leader
      bytes.readInt32() // epoch
      int32s() // replicas
      int32s() // in sync
      int32s() // offline
      bytes.readTaggedFields()
    })
    bytes.readInt32() // authorized operations
    bytes.readTaggedFields()
    return { errorCode, name, id }
  })
  return topics ?? []
}

/** As Kafka's own tools would write it in hex: a UUID. */
const uuidOf = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

/**
 * Asks one broker for the ids of topics, by their names. An id is a topic's for its life: one that is deleted and made anew has another.
 * @returns without those that there are not.
 * @throws Error when the broker can not tell of one; kafkajs' errors when it does not answer.
 */
export async function topicIds(broker: Broker, topics: readonly string[]): Promise<Map<string, string>> {
  const request = {
    apiKey: metadataKey,
    apiVersion: metadataVersion,
    apiName: 'Metadata',
    encode: async () => {
      const bytes = encodeMetadata(topics)
      return { buf: bytes, buffer: bytes }
    },
  }
  const response = {
    decode: async (payload: Buffer) => decodeMetadata(payload),
    parse: async (found: TopicMetadata[]) => found,
  }
  const found = await broker.connectionPool.send({ request, response })
  const ids = new Map<string, string>()
  for (const { errorCode, name, id } of found) {
    if (errorCode === unknownTopic || name === null) continue
    // A partition without a leader is told of beside a topic's id, and says nothing against it.
    if (/^0+$/.test(id)) throw new Error(`the broker tells no id of topic ${name}: error ${errorCode}`)
    ids.set(name, uuidOf(id))
  }
  return ids
}
