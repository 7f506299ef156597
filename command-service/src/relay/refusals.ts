/** The relay must not publish until an operator has decided. The message holds the choices. */
export class RelayRefusal extends Error {
  override readonly name = 'RelayRefusal'
}

/** Another route has taken over this one's work. Nothing is left to do here, and doing it would double it. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver'
}

const relay = 'npm run relay --'
const inTheImage =
  'In an image without npm, use `node command-service/dist/relay/main.js` instead of `npm run relay --`.'

const refusal = (facts: string, choices: readonly string[]) =>
  new RelayRefusal([facts, ...choices.map((choice, i) => `  ${i + 1}. ${choice}`), inTheImage].join('\n'))

const refill = (topics: readonly string[], isFilled: boolean) =>
  `${relay} ${topics.map((topic) => `--refill ${topic}`).join(' ')}${isFilled ? ' --delete-topics' : ''} --until-caught-up`

/** A topic has lost what was published into it. @param isFilled whether it has records now. */
export const topicLost = (topic: string, what: string, isFilled: boolean): RelayRefusal =>
  refusal(
    `Topic ${topic} ${what}: records that were published are missing. Continuing would leave them out for ever. ` +
      'Nothing was published. Choose:',
    [
      `Fill it from the log: each event once, in order${isFilled ? ' (what is left in the topic is deleted first)' : ''}. Other topics wait meanwhile:\n` +
        `       ${refill([topic], isFilled)}`,
      `Restore the topic from a backup of the cluster, with its id. The relay then continues by itself.`,
    ],
  )

/** A topic has records that the checkpoint knows nothing of. */
export const topicUnknown = (topic: string): RelayRefusal =>
  refusal(
    `Topic ${topic} has records, and the relay's checkpoint does not know it. Nobody can say which events they are. ` +
      'Nothing was published. Choose:',
    [
      `Delete it, and fill it from the log: each event once, in order. Other topics wait meanwhile:\n       ${refill([topic], true)}`,
      "Restore the checkpoint (offsets of the relay's groups) from a backup of the cluster. The relay then continues by itself.",
    ],
  )

export interface LogDifference {
  position: bigint
  /** Id of the event that was published from there; `undefined`: a former release did not keep it. */
  was: string | undefined
  /** What is there now. */
  is: string | undefined
  /** `undefined`: the log is empty. */
  head: bigint | undefined
  /** The first events, then and now. */
  first: { was: string | undefined; is: string | undefined }
}

/** The log is an older copy, or another one. @param topics all that the relay publishes into. */
export function logChanged({ position, was, is, head, first }: LogDifference, topics: readonly string[]): RelayRefusal {
  const now =
    is !== undefined
      ? `event ${is} is there`
      : head === undefined || first.is === undefined
        ? 'the log is empty'
        : head < position
          ? `the log ends at ${head}`
          : 'nothing is there'
  const isOther = first.was !== undefined && first.is !== undefined && first.was !== first.is
  const whole = isOther
    ? 'It is another log: it begins with another event.'
    : 'It was restored from an older copy, or it is another log.'
  const choices = [
    'Restore the newer log. The relay then continues by itself, and nothing is lost.',
    'Take the log as it is. What it lacks is lost for ever, although it was acknowledged. This deletes the topics ' +
      `(${topics.join(', ')}) and fills them from the log:\n` +
      `       ${relay} --accept-log --delete-topics --until-caught-up\n` +
      '     The read models and the notifier refuse the log as well, until they are told the same:\n' +
      '       npm run replay -- --all --accept-log\n' +
      '       npm run notifier -- accept-log --why "<reason>"',
  ]
  if (is === undefined && head !== undefined && head >= position && !isOther)
    choices.push(
      'It is the same log, and only this one event was deleted and scavenged. To continue after its position:\n' +
        `       ${relay} --resume-after ${position}`,
    )
  return refusal(
    `The log is not the one that was published from: ${was === undefined ? 'an event' : `event ${was}`} was published from ` +
      `position ${position}, but now ${now}. ${whole} Continuing would leave out new events below that position. ` +
      'Nothing was published. Choose:',
    choices,
  )
}

/** The operator took the log as it is, and topics have records of the other one. */
export const topicsInTheWay = (topics: readonly string[]): RelayRefusal =>
  refusal(`--accept-log begins again, in empty topics. ${topics.join(', ')} still has records. Choose:`, [
    `Delete the records, and begin:\n       ${relay} --accept-log --delete-topics --until-caught-up`,
  ])

/** No checkpoint beside topics with records. */
export const checkpointLost = (group: string, used: readonly string[]): RelayRefusal =>
  refusal(
    `The relay's checkpoint is missing (offsets of group "${group}"), but ${used.join(', ')} already ${used.length === 1 ? 'has' : 'have'} records. ` +
      'Beginning at the start of the log would publish those events a second time. Nothing was published. ' +
      "Offsets expire when no relay has run for the broker's offsets.retention.minutes (7 days by default). Raise that setting. Choose:",
    [
      'Restore the offsets of the group from a backup of the cluster. The relay then continues by itself.',
      'Find the largest "ce_position" header among the last records of these topics (read_committed). Every batch is one\n' +
        '     transaction in log order, so everything up to that position is published. The last value of annals_relay_position\n' +
        `     that was scraped is not too high, so it is safe as well (repeats are recognised). Start once with it:\n       ${relay} --resume-after <that position>`,
      `Delete these topics, and fill them from the log. Consumers recognise repeats by stream revision:\n       ${refill(used, true)}`,
      `Publish everything into a new topic version, and move the consumers there: ${relay} --from-start --to <topic>.v<number>`,
    ],
  )

const namedRoutes = (routes: string) => (routes === '' ? 'one relay publishes everything' : `RELAY_ROUTES=${routes}`)

/** @param is how the work is divided; @param wanted how this relay is set to; empty: one relay does all of it. */
export const routesDiffer = (is: string, wanted: string): RelayRefusal =>
  refusal(
    `The work of publishing is divided otherwise than this relay is set to. As it is: ${namedRoutes(is)}. As it is set: ${namedRoutes(wanted)}. ` +
      'Nothing was published by this relay. Choose:',
    [
      `Set this relay as it is: ${is === '' ? 'without RELAY_ROUTES and RELAY_ROUTE' : namedRoutes(is)}.`,
      `Divide the work as this relay is set. Relays that are set otherwise then refuse to publish:\n       ${relay} --change-routes`,
    ],
  )

/** A change of routes has closed this one, and was ended before it was done. */
export const changeUnfinished = (): RelayRefusal =>
  refusal('A change of routes has begun and is not done. Nothing was published by this relay since. Choose:', [
    `Do it again, set to the routes that are wanted. Those of before may be wanted, too:\n       ${relay} --change-routes`,
  ])

export const notOverruled = (resumeAfter: bigint, checkpoint: bigint): RelayRefusal =>
  refusal(
    `--resume-after ${resumeAfter} was given, but there is a checkpoint, ${checkpoint}. The option does not replace it. Choose:`,
    ['Start without the option.'],
  )

export const notInTheLog = (resumeAfter: bigint, head: bigint | undefined): RelayRefusal =>
  refusal(
    `--resume-after ${resumeAfter} was given, but the log has no event there (it ends at ${head ?? 'its beginning'}). Choose:`,
    ['Give the "ce_position" of a record, or a value that annals_relay_position had.'],
  )
