import { databaseOf } from './databases.mjs'

/** The read models' database goes back: rows, revisions and checkpoints together. @type {import('./steps.mjs').Step} */
export const readModels = {
  says: 'the read models’ database is restored from an older copy',
  copy: ({ env, databases }) => databases.copy(databaseOf(env.PROJECTION_DATABASE_URL)),
  setBack: async ({ env, databases }, copy) => {
    await databases.restore(databaseOf(env.PROJECTION_DATABASE_URL), copy)
  },
}
