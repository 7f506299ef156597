import { UUID } from '@eventstore/db-client/generated/shared_pb'
import { ReadResp } from '@eventstore/db-client/generated/streams_pb'
import type { EventLog } from '../log/event-log'
import type { ReadRequest } from '../protocol/read-request'

/** Rewrites a stored message for a reader who asked for another form. */
export type MessageForm = (message: Uint8Array) => Uint8Array

type Recorded = ReadResp.ReadEvent.RecordedEvent

/** Type of an event that stands for another: its data is `<revision>@<stream>`. */
const LINK_TYPE = '$>'

/**
 * Stored messages have text ids and show links as they are. A reader who wants links resolved or ids as two 64-bit halves
 * gets each message parsed and written anew: slower by an order of magnitude, and rare.
 * @returns undefined when messages go out as they are stored
 */
export function messageForm(log: EventLog, request: ReadRequest): MessageForm | undefined {
  const { resolveLinks, structuredIds } = request
  if (!resolveLinks && !structuredIds) return undefined
  return (message) => {
    const response = ReadResp.deserializeBinary(message)
    const read = response.getEvent()
    const event = read?.getEvent()
    // What is no event, such as a checkpoint, has one form only.
    if (!read || !event) return message
    if (resolveLinks && event.getMetadataMap().get('type') === LINK_TYPE) {
      read.setLink(event)
      read.setEvent(resolveLink(log, event))
    }
    if (structuredIds) for (const recorded of [read.getEvent(), read.getLink()]) structureId(recorded)
    return response.serializeBinary()
  }
}

/** @returns the event that the link names; undefined when it is not there (any more): the reader gets the link alone */
function resolveLink(log: EventLog, link: Recorded): Recorded | undefined {
  const target = Buffer.from(link.getData_asU8()).toString('utf8')
  const at = target.indexOf('@')
  const stream = log.find(target.slice(at + 1))
  const revision = Number(target.slice(0, at))
  if (at < 1 || !Number.isSafeInteger(revision) || !stream || stream.tombstoned) return undefined
  const message = log.messageAt(stream, revision)
  return message && ReadResp.deserializeBinary(message).getEvent()?.getEvent()
}

function structureId(recorded: Recorded | undefined): void {
  const id = recorded?.getId()
  if (!id) return
  const hex = id.getString().replaceAll('-', '')
  const structured = new UUID.Structured()
  structured.setMostSignificantBits(BigInt.asIntN(64, BigInt(`0x${hex.slice(0, 16)}`)).toString())
  structured.setLeastSignificantBits(BigInt.asIntN(64, BigInt(`0x${hex.slice(16)}`)).toString())
  id.setStructured(structured)
}
