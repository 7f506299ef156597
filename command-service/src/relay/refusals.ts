/** The relay must not publish without an operator's word. The message holds the choices. */
export class RelayRefusal extends Error {
  override readonly name = 'RelayRefusal'
}

/** Another route goes on with this one's work: there is nothing left to do, and to do it would double it. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver'
}

const relay = 'npm run relay --'
const inTheImage = 'In an image without npm, `node command-service/dist/relay/main.js` stands for `npm run relay --`.'

const refusal = (facts: string, choices: readonly string[]) =>
  new RelayRefusal([facts, ...choices.map((choice, i) => `  ${i + 1}. ${choice}`), inTheImage].join('\n'))

const refill = (topics: readonly string[], isFilled: boolean) =>
  `${relay} ${topics.map((topic) => `--refill ${topic}`).join(' ')}${isFilled ? ' --delete-topics' : ''} --until-caught-up`

/** A topic has lost what was published into it. @param isFilled whether it has records now. */
export const topicLost = (topic: string, what: string, isFilled: boolean): RelayRefusal =>
  refusal(
    `Topic ${topic} ${what}: records that were published are not there any more, and to go on would leave them out for ` +
      'good. Nothing was published. Choose:',
    [
      `Fill it from the log, once each and in order${isFilled ? ' (what is left of it is deleted first)' : ''}; other topics wait meanwhile:\n` +
        `       ${refill([topic], isFilled)}`,
      `Put the topic back from a backup of the cluster, with its id. The relay goes on by itself.`,
    ],
  )

/** A topic has records that the checkpoint knows nothing of. */
export const topicUnknown = (topic: string): RelayRefusal =>
  refusal(
    `Topic ${topic} has records, and the relay's checkpoint does not know it: nobody can tell which events they are. Nothing ` +
      'was published. Choose:',
    [
      `Delete it, and fill it from the log, once each and in order; other topics wait meanwhile:\n       ${refill([topic], true)}`,
      "Restore the checkpoint (offsets of the relay's groups) from a backup of the cluster. The relay goes on by itself.",
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
    : 'It was restored from an older copy, or is another one.'
  const choices = [
    'Put the log back that is newer. The relay goes on by itself, and nothing is lost.',
    'Take the log as it is: what it lacks is lost for good, although it was acknowledged. This deletes the topics ' +
      `(${topics.join(', ')}) and fills them from the log as it is:\n` +
      `       ${relay} --accept-log --delete-topics --until-caught-up\n` +
      '     Read models and notifier refuse the log as well, until they are told the same:\n' +
      '       npm run replay -- --all --accept-log\n' +
      '       npm run notifier -- accept-log --why "<reason>"',
  ]
  if (is === undefined && head !== undefined && head >= position && !isOther)
    choices.push(
      'It is the same log, and nothing but this one event was deleted and scavenged from it. To go on after its place:\n' +
        `       ${relay} --resume-after ${position}`,
    )
  return refusal(
    `The log is not the one that was published from: ${was === undefined ? 'an event' : `event ${was}`} was published from ` +
      `position ${position}, and ${now}. ${whole} To go on would leave out what it gets below that position. Nothing was ` +
      'published. Choose:',
    choices,
  )
}

/** The operator took the log as it is, and topics have records of the other one. */
export const topicsInTheWay = (topics: readonly string[]): RelayRefusal =>
  refusal(`--accept-log begins anew, in empty topics, and ${topics.join(', ')} still has records. Choose:`, [
    `Delete them, and begin:\n       ${relay} --accept-log --delete-topics --until-caught-up`,
  ])

/** No checkpoint beside topics with records. */
export const checkpointLost = (group: string, used: readonly string[]): RelayRefusal =>
  refusal(
    `The relay's checkpoint is missing (offsets of group "${group}"), but ${used.join(', ')} already ${used.length === 1 ? 'has' : 'have'} records. ` +
      'To begin at the start of the log would publish those events a second time, so nothing was published. ' +
      "Offsets expire when no relay ran for the broker's offsets.retention.minutes (7 days by default): raise it. Choose:",
    [
      'Restore the offsets of the group from a backup of the cluster. The relay goes on by itself.',
      'Find the largest "ce_position" header among the last records of these topics (read_committed): every batch is one\n' +
        '     transaction in log order, so everything up to it is published. The last value of annals_relay_position that was scraped\n' +
        `     is a lower bound, and safe (repeats are recognised). Start once with it:\n       ${relay} --resume-after <that position>`,
      `Delete these topics, and fill them from the log; consumers recognise repeats by stream revision:\n       ${refill(used, true)}`,
      `Publish everything into a new topic version, and move the consumers there: ${relay} --from-start --to <topic>.v<number>`,
    ],
  )

export const notOverruled = (resumeAfter: bigint, checkpoint: bigint): RelayRefusal =>
  refusal(
    `--resume-after ${resumeAfter} was given, but there is a checkpoint, ${checkpoint}. It is not overruled. Choose:`,
    ['Start without the option.'],
  )

export const notInTheLog = (resumeAfter: bigint, head: bigint | undefined): RelayRefusal =>
  refusal(
    `--resume-after ${resumeAfter} was given, but the log has no event there (it ends at ${head ?? 'its beginning'}). Choose:`,
    ['Give the "ce_position" of a record, or a value that annals_relay_position had.'],
  )
