import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { kafkaJars } from '../../install/kafka/jars.mjs'
import { logOf } from '../processes.mjs'
import { root } from '../../profile.mjs'
import { run, which } from '../../install/tools.mjs'
import { Trouble } from '../../terminal/trouble.mjs'

const javaMajorNeeded = 17

/** A development broker is small: measured, a topic can be created 2 s after start, with about 200 MB resident. */
const javaFlags = ['-Xms128m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** The nodes of a three-node cluster differ in this only. @type {(keyof import('../../profile.mjs').Ports)[][]} */
const nodePorts = [
  ['kafka', 'kafkaController'],
  ['kafka2', 'kafkaController2'],
  ['kafka3', 'kafkaController3'],
]

/**
 * Apache Kafka 4.4.0 from its jars, as broker and KRaft controller in one process.
 *
 * @param {number} node 1 to 3
 * @returns {import('../native.mjs').Server}
 */
export function kafkaServer(node) {
  const name = node === 1 ? 'kafka' : `kafka${node}`
  return {
    name,
    title: node === 1 ? 'Kafka' : `Kafka node ${node}`,
    ports: nodePorts[node - 1],
    readyWithinMs: 120_000,
    async prepare({ profile, say }) {
      await checkJava()
      await kafkaJars({ log: logOf(profile, 'kafka-download'), say })
    },
    async launch({ profile, kafkaNodes, kafkaDoors = [] }) {
      const java = which('java')
      const jars = await kafkaJars({ log: logOf(profile, 'kafka-download'), say: () => {} })
      const data = join(profile.data, name)
      const properties = writeProperties(profile, { node, kafkaNodes, kafkaDoors, data, name })
      const logging = `-Dlog4j2.configurationFile=${join(root, 'dev/install/kafka/log4j2.xml')}`
      const classPath = ['-cp', join(jars, '*')]
      if (!existsSync(join(data, 'meta.properties'))) {
        const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties, ...users(kafkaDoors)]
        await run(java, ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', logging, ...classPath, ...format], {
          log: logOf(profile, name),
          what: 'Formatting the Kafka data directory',
          timeoutMs: 60_000,
        })
      }
      return { name, command: java, args: [...javaFlags, logging, ...classPath, 'kafka.Kafka', properties] }
    },
    ready: ({ profile, kafkaNodes }) => isUsable(profile.ports[nodePorts[node - 1][0]], kafkaNodes),
  }
}

/** One for all local clusters: they never meet, each has its own ports and data. */
const clusterId = 'YW5uYWxzLWRldi1zdGFjaw'

function writeProperties({ ports, data: dataDir }, { node, kafkaNodes, kafkaDoors, data, name }) {
  const voters = nodePorts
    .slice(0, kafkaNodes)
    .map(([, controller], index) => `${index + 1}@127.0.0.1:${ports[controller]}`)
  const [broker, controller] = nodePorts[node - 1].map((port) => ports[port])
  const replicas = Math.min(kafkaNodes, 3)
  const inSyncMin = kafkaNodes >= 3 ? 2 : 1
  // Who comes in by a door is told that door's address for every further connection.
  const doors = kafkaDoors.map((door, index) => ({ ...door, protocol: `DOOR${index + 1}` }))
  const listeners = [{ protocol: 'PLAINTEXT', listen: broker, advertise: broker, secure: undefined }, ...doors]
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': node,
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: [
      ...listeners.map(({ protocol, listen }) => `${protocol}://127.0.0.1:${listen}`),
      `CONTROLLER://127.0.0.1:${controller}`,
    ].join(','),
    'advertised.listeners': listeners
      .map(({ protocol, advertise }) => `${protocol}://127.0.0.1:${advertise}`)
      .join(','),
    'listener.security.protocol.map': [...listeners, { protocol: 'CONTROLLER', secure: undefined }]
      .map(({ protocol, secure }) => `${protocol}:${secure ? 'SASL_SSL' : 'PLAINTEXT'}`)
      .join(','),
    ...Object.assign({}, ...doors.map(securityOf)),
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': data,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSyncMin,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSyncMin,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSyncMin,
    'group.initial.rebalance.delay.ms': 0,
    // The relay's checkpoint is a committed offset: it must not expire while a laptop is closed.
    'offsets.retention.minutes': 525_600,
    'auto.create.topics.enable': false,
    // A start after a kill waits for the dead session: 12 s with the defaults, 4 s with these.
    'broker.session.timeout.ms': 2_000,
    'broker.heartbeat.interval.ms': 500,
  }
  const file = join(dataDir, `${name}.properties`)
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  return file
}

/**
 * TLS and users of one door, where it has them.
 *
 * @param {import('../native.mjs').KafkaDoor & { protocol: string }} door
 */
function securityOf({ protocol, secure }) {
  if (!secure) return {}
  const of = (name) => `listener.name.${protocol.toLowerCase()}.${name}`
  // A line break within a value, as a properties file has it.
  const oneLine = (pem) => pem.trim().replaceAll('\n', '\\n')
  const { username, password } = secure
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`
  return {
    [of('ssl.keystore.type')]: 'PEM',
    [of('ssl.keystore.certificate.chain')]: oneLine(secure.certificate),
    [of('ssl.keystore.key')]: oneLine(secure.key),
    [of('sasl.enabled.mechanisms')]: 'PLAIN,SCRAM-SHA-512',
    [of('plain.sasl.jaas.config')]: plain,
    [of('scram-sha-512.sasl.jaas.config')]: 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  }
}

/** @param {import('../native.mjs').KafkaDoor[]} doors @returns {string[]} of `format`: whom the cluster knows from its beginning */
const users = (doors) =>
  doors.flatMap(({ secure }) =>
    secure ? ['--add-scram', `SCRAM-SHA-512=[name=${secure.username},password=${secure.password}]`] : [],
  )

async function checkJava() {
  const remedy = `install Java ${javaMajorNeeded} or later (Debian: \`apt-get install openjdk-17-jre-headless\`).`
  const java = which('java')
  if (!java) throw new Trouble('Java was not found, and Kafka runs on it.', { remedy })
  const { stderr } = await promisify(execFile)(java, ['-version'])
  const major = Number(/version "(\d+)/.exec(stderr)?.[1])
  if (major < javaMajorNeeded) throw new Trouble(`Java ${major} is too old for Kafka 4.`, { remedy })
}

/**
 * Kafka listens before it can do anything. It is ready when a topic with our replication could be made (none is), and when
 * consumer groups have a coordinator, whose internal topic a fresh broker makes at the first question.
 */
async function isUsable(port, replicationFactor) {
  const { default: kafkajs } = await import('kafkajs')
  const kafka = new kafkajs.Kafka({
    clientId: 'annals-stack',
    brokers: [`127.0.0.1:${port}`],
    connectionTimeout: 1_000,
    requestTimeout: 3_000,
    retry: { retries: 0 },
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const topics = [{ topic: `annals.ready.${Date.now()}`, numPartitions: 1, replicationFactor }]
    await admin.createTopics({ validateOnly: true, waitForLeaders: false, topics })
    await admin.fetchOffsets({ groupId: 'annals.ready', topics: [] })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
