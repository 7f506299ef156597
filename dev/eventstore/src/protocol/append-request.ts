import type { AppendReq, BatchAppendReq } from '@eventstore/db-client/generated/streams_pb'
import type { StreamIdentifier, UUID } from '@eventstore/db-client/generated/shared_pb'
import type { ProposedEvent } from '../log/event-log'
import type { ExpectedRevision } from '../rules/expected-revision'
import { invalidArgument, requiredMetadataMissing } from './errors'

/** What a client sends that has set no id. */
const NO_ID = '00000000-0000-0000-0000-000000000000'

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** @returns lower-case text form. @throws ServiceError INVALID_ARGUMENT */
export function parseUuid(uuid: UUID | undefined): string {
  const structured = uuid?.getStructured()
  if (structured) {
    const high = BigInt.asUintN(64, BigInt(structured.getMostSignificantBits())).toString(16).padStart(16, '0')
    const low = BigInt.asUintN(64, BigInt(structured.getLeastSignificantBits())).toString(16).padStart(16, '0')
    return [high.slice(0, 8), high.slice(8, 12), high.slice(12), low.slice(0, 4), low.slice(4)].join('-')
  }
  const text = uuid?.getString().toLowerCase() ?? ''
  if (!uuidPattern.test(text)) throw invalidArgument('id is not a UUID')
  return text
}

/** @throws ServiceError INVALID_ARGUMENT when the identifier or its name is missing */
export function parseStreamName(identifier: StreamIdentifier | undefined): string {
  const name = identifier ? Buffer.from(identifier.getStreamName_asU8()).toString('utf8') : ''
  if (name === '') throw invalidArgument('stream name is missing')
  return name
}

/** The four ways to expect a revision, which several messages have in common. */
export interface RevisionOptions {
  hasNoStream(): boolean
  hasAny(): boolean
  hasStreamExists(): boolean
}

/** @param revision decimal text, read when none of the named expectations is set */
export function parseExpected(options: RevisionOptions, revision: string): ExpectedRevision {
  if (options.hasNoStream()) return 'no_stream'
  if (options.hasAny()) return 'any'
  if (options.hasStreamExists()) return 'stream_exists'
  return Number(revision)
}

/** @throws ServiceError INVALID_ARGUMENT when the id, the type or the content type is missing */
export function parseProposed(message: AppendReq.ProposedMessage | BatchAppendReq.ProposedMessage): ProposedEvent {
  const entries = message.getMetadataMap()
  const type = entries.get('type')
  if (type === undefined) throw requiredMetadataMissing('type')
  if (type === '') throw invalidArgument('the event type is empty')
  const contentType = entries.get('content-type')
  if (contentType === undefined) throw requiredMetadataMissing('content-type')
  const id = parseUuid(message.getId())
  if (id === NO_ID) throw invalidArgument('the event id is empty')
  return {
    id,
    type,
    contentType,
    metadata: message.getCustomMetadata_asU8(),
    data: message.getData_asU8(),
  }
}

/** EventStoreDB's measure of an event: what it takes on disk, UTF-16 type included. */
export const sizeOnDisk = (event: ProposedEvent): number =>
  event.data.length + event.metadata.length + event.type.length * 2
