import { dictionary } from '@zxcvbn-ts/language-common'
import { vocabularyOf } from './domain/guessing'

/**
 * The 49,233 passwords that are most common in leaks, from the list of zxcvbn-ts (MIT). They are here, so that no password is
 * shown to anybody to find out whether it is among them.
 */
export const commonPasswords = vocabularyOf(dictionary['passwords-common'])
