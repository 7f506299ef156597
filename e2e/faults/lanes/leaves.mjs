import { setTimeout as delay } from 'node:timers/promises'
import { pick } from '../random.mjs'
import { between, changeUntilDone } from './moments.mjs'

/** Until somebody has noticed: commands come all the time, and an instance that takes over needs some seconds. */
const noticedMsMax = 8_000
/** How much longer it stays as it is. */
const longerMs = { min: 0, max: 4_000 }
/** Of one that is being rebuilt: until it was swapped in, as a rule. */
const rebuiltMsMax = 20_000
/** Until the next one. */
const pauseMs = { min: 300, max: 2_500 }
const lookEveryMs = 100

/**
 * What makes read models leave the lane, in turn. `alone`: not while the same read model is rebuilt or rolled back, which it would
 * hinder as well; else one that is being rebuilt, if there is one.
 *
 * @type {{ how: string, alone: boolean, begin: (db: import('pg').Client, model: string) => Promise<(db: import('pg').Client) => Promise<void>> }[]} `begin`
 *   resolves to what ends it
 */
const ways = [
  {
    how: 'table renamed',
    alone: true,
    async begin(db, model) {
      const { oid, name } = await tableOf(db, model)
      await db.query(`alter table ${model}.${name} rename to ${name}_away`)
      return (again) => onTable(again, oid, (table) => `alter table ${table} rename to ${name}`)
    },
  },
  {
    how: 'another version live',
    alone: true,
    async begin(db, model) {
      await moveVersion(db, model, 1)
      return (again) => moveVersion(again, model, -1)
    },
  },
  {
    how: 'writing forbidden',
    alone: false,
    async begin(db, model) {
      const { oid } = await tableOf(db, model)
      await onTable(db, oid, (table) => `revoke insert, update on ${table} from current_user`)
      return (again) => onTable(again, oid, (table) => `grant insert, update on ${table} to current_user`)
    },
  },
]

/**
 * Makes one read model after the other leave the lane, and lets it join again.
 *
 * @param {object} options
 * @param {string} options.url of the read models' database, as the projector's role
 * @param {string[]} options.models
 * @param {ReturnType<typeof import('./turns.mjs').createTurns>} options.turns
 * @param {ReturnType<typeof import('./places.mjs').watchPlaces>} options.places
 * @param {{ model?: string }} options.operator what is being rebuilt
 * @param {number} options.ending epoch ms
 * @param {() => number} options.random
 * @param {AbortSignal} options.signal
 * @returns {Promise<{ by: Record<string, number>, noticed: number }>} what was done, and how often a read model left because of it
 */
export async function runLeaves({ url, models, turns, places, operator, ending, random, signal }) {
  const done = { by: Object.fromEntries(ways.map(({ how }) => [how, 0])), noticed: 0 }
  for (let number = 0; number < ways.length || Date.now() < ending; number++) {
    const { how, alone, begin } = ways[number % ways.length]
    const { model, giveBack } = alone
      ? await turns.take(models, random, signal)
      : { model: operator.model ?? pick(models, random) }
    try {
      const leavesBefore = places.leavesOf(model)
      const end = await changeUntilDone(url, (db) => begin(db, model), signal)
      try {
        const deadline = Date.now() + noticedMsMax
        while (places.leavesOf(model) === leavesBefore && Date.now() < deadline)
          await delay(lookEveryMs, undefined, { signal })
        const until = Date.now() + (alone ? 0 : rebuiltMsMax)
        while (operator.model === model && Date.now() < until) await delay(lookEveryMs, undefined, { signal })
        await delay(between(longerMs, random), undefined, { signal })
      } finally {
        // After an interrupt as well: what is looked at afterwards is a system that nobody does harm to.
        await changeUntilDone(url, end)
      }
      done.by[how] += 1
      if (places.leavesOf(model) > leavesBefore) done.noticed += 1
    } finally {
      giveBack?.()
    }
    await delay(between(pauseMs, random), undefined, { signal })
  }
  return done
}

/** The table of a live read model's rows. */
async function tableOf(db, model) {
  const { rows } = await db.query(
    `select c.oid, c.relname as name from pg_class c where c.relnamespace = $1::regnamespace and c.relkind = 'r' and c.relname <> 'parked'`,
    [model],
  )
  return rows[0]
}

/** Wherever a swap has moved it since; a table that is gone needs nothing. */
async function onTable(db, oid, sql) {
  const { rows } = await db.query('select oid::regclass::text as name from pg_class where oid = $1', [oid])
  if (rows[0]) await db.query(sql(rows[0].name))
}

/** As the swap of another release does it: under the lane's checkpoints, and projectors are told. */
async function moveVersion(db, model, by) {
  await db.query('begin')
  await db.query('select from annals.lane_checkpoint order by topic, partition for update')
  await db.query('update annals.lane_checkpoint set places_epoch = places_epoch + 1')
  await db.query('update annals.projection set version = version + $2 where name = $1', [model, by])
  await db.query('commit')
}
