import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb'
import type { ProposedEvent } from '../log/event-log'
import { batchAnswer } from '../protocol/append-response'
import type { BatchFailure, Written } from '../protocol/append-response'
import { parseExpected, parseProposed, parseStreamName, parseUuid, sizeOnDisk } from '../protocol/append-request'
import { invalidArgument, unavailable } from '../protocol/errors'
import type { ExpectedRevision } from '../rules/expected-revision'
import type { AppendDependencies } from './append-call'

/** Answered in pages (see page-interceptor.ts). */
export type BatchAppendCall = ServerDuplexStream<BatchAppendReq, readonly BatchAppendResp[]>

/** An append whose last part has not come yet. */
interface Unfinished {
  stream: string
  expected: ExpectedRevision
  /** ms since 1970 */
  deadline: number
  events: ProposedEvent[]
  size: number
  timer: NodeJS.Timeout | undefined
}

/** Appends begun and not ended on one call; the official client ends each before it begins the next. */
const UNFINISHED_MAX = 1_000
/** Appends under way on one call; beyond it the call is not read until some are answered. */
const UNDER_WAY_MAX = 5_000
/** Bytes of events under way on one call; likewise. */
const UNDER_WAY_BYTES_MAX = 32 * 1024 * 1024
/** setTimeout fires at once for longer waits. */
const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * Serves `BatchAppend`: appends in parts, each under its correlation id, over one long call. Every correlation id gets
 * exactly one answer; what comes for it afterwards is ignored (the client would fail on a second one).
 */
export function serveBatchAppend(call: BatchAppendCall, { commits, appendSizeMax }: AppendDependencies): void {
  const unfinished = new Map<string, Unfinished>()
  let underWay = 0
  let underWayBytes = 0
  let halfClosed = false
  let answers: BatchAppendResp[] = []

  call.on('data', (request: BatchAppendReq) => {
    try {
      receive(request)
    } catch (error) {
      // Only a message without a usable correlation id comes here: there is nobody to answer.
      call.emit('error', error)
    }
  })
  call.on('end', () => {
    halfClosed = true
    endWhenDone()
  })
  call.on('close', forgetAll)
  call.on('cancelled', forgetAll)

  function receive(request: BatchAppendReq): void {
    const correlationId = parseUuid(request.getCorrelationId())
    const options = request.getOptions()
    if (options && !unfinished.has(correlationId)) {
      const begun = begin(correlationId, options)
      if (!begun) return
      unfinished.set(correlationId, begun)
    }
    const append = unfinished.get(correlationId)
    if (!append) return
    try {
      for (const message of request.getProposedMessagesList()) {
        const event = parseProposed(message)
        append.events.push(event)
        append.size += sizeOnDisk(event)
      }
    } catch (error) {
      return refuse(correlationId, append, { kind: 'bad-request', message: (error as Error).message })
    }
    if (append.size > appendSizeMax)
      return refuse(correlationId, append, { kind: 'maximum-append-size-exceeded', bytes: appendSizeMax })
    if (request.getIsFinal()) void submit(correlationId, append)
    else append.timer ??= expireLater(correlationId, append)
  }

  function begin(correlationId: string, options: BatchAppendReq.Options): Unfinished | undefined {
    let stream = ''
    try {
      stream = parseStreamName(options.getStreamIdentifier())
      if (unfinished.size >= UNFINISHED_MAX) throw invalidArgument(`more than ${UNFINISHED_MAX} unfinished appends`)
    } catch (error) {
      answer(correlationId, stream, { kind: 'bad-request', message: (error as Error).message })
      return undefined
    }
    const deadline = options.getDeadline()?.toDate().getTime() ?? Number.POSITIVE_INFINITY
    if (deadline <= Date.now()) {
      answer(correlationId, stream, { kind: 'expired' })
      return undefined
    }
    const expected = parseExpected(options, options.getStreamPosition())
    return { stream, expected, deadline, events: [], size: 0, timer: undefined }
  }

  function expireLater(correlationId: string, append: Unfinished): NodeJS.Timeout {
    const waitMs = Math.min(append.deadline - Date.now(), TIMER_MS_MAX)
    return setTimeout(() => refuse(correlationId, append, { kind: 'expired' }), waitMs)
  }

  function finish(correlationId: string, append: Unfinished): void {
    unfinished.delete(correlationId)
    clearTimeout(append.timer)
  }

  function refuse(correlationId: string, append: Unfinished, failure: BatchFailure): void {
    finish(correlationId, append)
    answer(correlationId, append.stream, failure)
  }

  async function submit(correlationId: string, append: Unfinished): Promise<void> {
    finish(correlationId, append)
    const { stream, expected, events, deadline, size } = append
    underWay++
    underWayBytes += size
    regulate()
    const request = { kind: 'append', stream, expected, events } as const
    const outcome = await commits.submit(request, () => call.cancelled || deadline <= Date.now())
    underWay--
    underWayBytes -= size
    if (outcome.kind !== 'unavailable') answer(correlationId, stream, outcome)
    // The whole call ends, and the client knows that it may try again: no answer to one append says so.
    else if (!call.cancelled && !call.writableEnded) call.emit('error', unavailable(outcome.reason))
    regulate()
    endWhenDone()
  }

  function regulate(): void {
    const full = underWay >= UNDER_WAY_MAX || underWayBytes >= UNDER_WAY_BYTES_MAX
    if (full !== call.isPaused()) {
      if (full) call.pause()
      else call.resume()
    }
  }

  /** Answers given in one turn, such as those to a group of writes, leave together. */
  function answer(correlationId: string, stream: string, result: Written | BatchFailure): void {
    if (answers.push(batchAnswer(correlationId, stream, result)) === 1) process.nextTick(sendAnswers)
  }

  function sendAnswers(): void {
    const page = answers
    answers = []
    if (!call.cancelled && !call.destroyed && !call.writableEnded) call.write(page)
    endWhenDone()
  }

  function endWhenDone(): void {
    if (halfClosed && underWay === 0 && answers.length === 0 && !call.writableEnded) call.end()
  }

  function forgetAll(): void {
    for (const { timer } of unfinished.values()) clearTimeout(timer)
    unfinished.clear()
  }
}
