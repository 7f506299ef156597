import { readInbox } from '../check-mails.mjs'
import { databaseOf } from './databases.mjs'

/** The notifier's database goes back: it does not know any more what it sent since. @type {import('./steps.mjs').Step} */
export const deliveries = {
  says: 'the notifier’s database is restored from an older copy',
  choices: { notifier: /repeat|again/i },
  copy: ({ env, databases }) => databases.copy(databaseOf(env.NOTIFIER_DATABASE_URL)),
  async setBack({ env, databases, aftermath }, copy) {
    await databases.restore(databaseOf(env.NOTIFIER_DATABASE_URL), copy)
    // What has arrived by now may have been sent by attempts that are on no record any more.
    for (const { messageId } of await readInbox(env.MAIL_INBOX_URL))
      aftermath.forgotten.set(messageId, (aftermath.forgotten.get(messageId) ?? 0) + 1)
  },
}
