import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheDir } from '../../profile.mjs'
import { run, which } from '../tools.mjs'
import { Trouble } from '../../terminal/trouble.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const lockFile = join(here, 'jars.sha256')

/** Pinned, so that a release of the plugin changes nothing here. */
const copyGoal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

/**
 * The folder with Kafka's jars; fetched with Maven on the first use, checked file by file against `jars.sha256`, and shared by
 * all checkouts of this user. The folder's name carries the lock's digest: another set of versions is another folder.
 *
 * @param {{ log: string, say: (text: string) => void }} options `say` tells a person about the download
 * @returns {Promise<string>}
 * @throws {Trouble} when Maven is missing, the download fails, or a jar is not the one that was pinned
 */
export async function kafkaJars({ log, say }) {
  const lock = readFileSync(lockFile, 'utf8')
  const folder = join(cacheDir, `kafka-4.4.0-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder
  say('fetching 45 jars (43 MB) from Maven Central')
  const fetched = await fetchJars(log)
  try {
    const difference = differences(lock, digests(fetched))
    if (difference.length > 0) {
      throw new Trouble(`The jars from Maven are not the pinned ones: ${difference.slice(0, 3).join(', ')}.`, {
        remedy: 'check the Maven mirror this machine uses; `dev/install/kafka/jars.sha256` names what is expected.',
        log,
      })
    }
    renameSync(fetched, folder)
  } catch (error) {
    rmSync(fetched, { recursive: true, force: true })
    // Another checkout fetched the same set at the same time: theirs was checked as ours.
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** Writes `jars.sha256` anew, after a change of versions in pom.xml. @param {string} log */
export async function writeChecksums(log) {
  const fetched = await fetchJars(log)
  writeFileSync(lockFile, digests(fetched))
  rmSync(fetched, { recursive: true })
}

async function fetchJars(log) {
  const maven = which('mvn')
  if (!maven) {
    throw new Trouble('Maven (mvn) was not found, and Kafka is fetched with it.', {
      remedy:
        'install it (Debian: `apt-get install maven`), or start a Docker engine, which needs neither Java nor Maven.',
    })
  }
  mkdirSync(cacheDir, { recursive: true })
  const folder = mkdtempSync(join(cacheDir, 'fetching-'))
  const args = [
    '-q',
    '-B',
    '-Dstyle.color=never',
    '-f',
    join(here, 'pom.xml'),
    copyGoal,
    `-DoutputDirectory=${folder}`,
    '-DincludeScope=runtime',
  ]
  try {
    await run(maven, args, {
      log,
      what: 'Fetching Kafka from Maven Central',
      remedy: 'check the connection (and ~/.m2/settings.xml where a mirror is used), then try again.',
      timeoutMs: 300_000,
    })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return folder
}

/** @returns {string} in the form of sha256sum: digest, two blanks, name; sorted by name */
const digests = (folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.jar'))
    .toSorted()
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex')}  ${file}\n`,
    )
    .join('')

function differences(expected, actual) {
  const lines = (text) => new Set(text.split('\n').filter(Boolean))
  const [wanted, got] = [lines(expected), lines(actual)]
  const name = (line) => line.slice(66)
  return [
    ...[...wanted].filter((line) => !got.has(line)).map((line) => `${name(line)} is missing or changed`),
    ...[...got].filter((line) => !wanted.has(line)).map((line) => `${name(line)} is not expected`),
  ]
}
