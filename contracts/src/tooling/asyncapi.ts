import { z } from 'zod'
import { Envelope } from '../events/envelope'
import type { EventDefinition } from '../events/definition'
import { eventDefinitions } from '../events/registry'
import { categoryOf } from '../ids'
import { topicNames, topics } from '../events/topics'

/** Which category of streams an event type lives on, where its name does not say so. */
const categoryOfType: Record<string, string> = { 'user.login': 'session' }
const categoryOfEvent = (type: string) => categoryOfType[type] ?? categoryOf(type.replace('.', '-'))

const jsonSchema = (schema: z.ZodType) => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'output' }) as Record<string, unknown>
  return rest
}

/** The data as it travels: personal fields are replaced by one sealed string. */
function publishedSchema({ data, personal }: EventDefinition) {
  if (personal.length === 0) return jsonSchema(data)
  const open = data.omit(Object.fromEntries(personal.map((field) => [field, true])) as Record<string, true>)
  return jsonSchema(
    open.extend({
      sealed: z
        .string()
        .describe(
          `base64url, AES-256-GCM under the data key of the person named by the metadata's subject: ${personal.join(', ')}`,
        ),
    }),
  )
}

/**
 * The published language as an AsyncAPI 3.0 document: one channel a topic, one message an event type.
 * @see https://www.asyncapi.com/docs/reference/specification/v3.0.0
 */
export function asyncApiDocument(version: string): Record<string, unknown> {
  const definitions = Object.values(eventDefinitions) as unknown as EventDefinition[]
  const published = definitions.filter(({ type }) =>
    topicNames.some((name) => topics[name].category === categoryOfEvent(type)),
  )
  const messageName = (type: string) => type.replace('.', '_')
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Annals events',
      version,
      description:
        'Every fact about users, sessions and payments, exactly once and in order per stream. Records are CloudEvents 1.0 in Kafka binary mode; consumers read committed transactions only.',
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(
      topicNames.map((name) => [
        name,
        {
          address: name,
          description: `Streams of the category ${topics[name].category}; the key is the stream's name.`,
          messages: Object.fromEntries(
            published
              .filter(({ type }) => topics[name].category === categoryOfEvent(type))
              .map(({ type }) => [messageName(type), { $ref: `#/components/messages/${messageName(type)}` }]),
          ),
          bindings: { kafka: { topic: name, partitions: topics[name].partitions, bindingVersion: '0.5.0' } },
        },
      ]),
    ),
    operations: Object.fromEntries(
      topicNames.map((name) => [
        `publish_${topics[name].category}`,
        { action: 'send', channel: { $ref: `#/channels/${name}` } },
      ]),
    ),
    components: {
      messages: Object.fromEntries(
        published.map((definition) => [
          messageName(definition.type),
          {
            name: definition.type,
            title: `${definition.type}, version ${definition.version}`,
            headers: { $ref: '#/components/schemas/CloudEventHeaders' },
            payload: publishedSchema(definition),
          },
        ]),
      ),
      schemas: {
        CloudEventHeaders: {
          type: 'object',
          required: ['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_stream', 'ce_revision', 'ce_position'],
          properties: {
            'content-type': { const: 'application/json' },
            ce_specversion: { const: '1.0' },
            ce_id: {
              type: 'string',
              format: 'uuid',
              description: 'The same for ever; what consumers recognise a repeat by',
            },
            ce_source: { type: 'string' },
            ce_type: { type: 'string' },
            ce_time: { type: 'string', format: 'date-time' },
            ce_stream: { type: 'string', description: 'The stream, and the record key' },
            ce_revision: { type: 'string', description: 'Number in the stream, from 0 and without holes' },
            ce_position: { type: 'string', description: 'Commit position in the log' },
            ce_traceparent: { type: 'string' },
            ce_metadata: {
              type: 'string',
              description: 'The envelope as JSON; absent where ce_dataref stands',
              contentSchema: jsonSchema(Envelope),
            },
            ce_dataref: {
              type: 'string',
              description:
                'The record has no value: data and metadata are too large for Kafka, or no JSON, and are read from the log. `log:<stream>@<revision>`',
            },
          },
        },
      },
    },
  }
}
