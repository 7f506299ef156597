import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { topicNames } from '@annals/contracts'
import { kafkaOf } from '../check-topics.mjs'

/** One topic is deleted, while everything runs. @type {import('./steps.mjs').Step} */
export const topic = {
  says: 'a topic is deleted',
  choices: { relay: /fill/i },
  setBack: ({ env }) => deleteTopics(env, () => ['annals.payments']),
}

/** All topics are deleted, the relay's checkpoint with them. @type {import('./steps.mjs').Step} */
export const topics = {
  says: 'all topics are deleted',
  choices: { relay: /fill/i },
  setBack: ({ env }) => deleteTopics(env, (known) => known.filter((name) => name.startsWith('annals.'))),
}

/** Kafka begins anew with nothing: topics, offsets and groups are gone. @type {import('./steps.mjs').Step} */
export const kafka = {
  says: 'Kafka loses its data',
  choices: { relay: /fill/i },
  async setBack({ stack }) {
    await stack.kill('kafka', 'SIGTERM')
    rmSync(join(stack.profile.data, 'kafka'), { recursive: true, force: true })
    await stack.restart('kafka')
  },
}

async function deleteTopics({ KAFKA_BROKERS }, choose) {
  const admin = kafkaOf(KAFKA_BROKERS).admin()
  await admin.connect()
  try {
    const names = choose(await admin.listTopics())
    if (!names.some((name) => topicNames.includes(name))) throw new Error('there was no topic to delete')
    await admin.deleteTopics({ topics: names, timeout: 20_000 })
  } finally {
    await admin.disconnect()
  }
}
