import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { createConsumer, createPublisher, createTopics } from '@annals/platform/kafka'

/** A process that consumes and publishes, and has nothing to do: prints the CPU it takes, in percent of a core. */
async function main([brokers, name]: readonly string[]) {
  const kafka = { brokers: brokers!.split(','), clientId: 'test', log: pino({ level: 'silent' }) }
  const checkpoint = { groupId: name!, topic: `${name}.checkpoint` }
  const specs = [name!, checkpoint.topic].map((topic) => ({ topic, partitions: 1 }))
  await createTopics(kafka).ensure(specs, 1)
  const publisher = createPublisher({ ...kafka, transactionalId: name!, checkpoint })
  await publisher.takeOver()
  await publisher.publish([], -1n)
  const consumer = createConsumer({
    ...kafka,
    groupId: `${name}.reader`,
    topics: [name!],
    onFatal: () => process.exit(1),
  })
  await consumer.run({ positions: async () => [undefined], handle: async () => ({ kind: 'done' }) })

  await delay(1_000)
  const before = process.cpuUsage()
  const idleMs = 5_000
  await delay(idleMs)
  const { user, system } = process.cpuUsage(before)
  process.stdout.write((((user + system) / 1_000 / idleMs) * 100).toFixed(2))
  await consumer.stop()
  await publisher.close()
}

void main(process.argv.slice(2))
