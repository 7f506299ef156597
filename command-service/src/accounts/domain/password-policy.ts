import { charactersOf } from '@annals/contracts'
import { guessesOf, type Vocabulary } from './guessing'

export interface PasswordPolicy {
  /** Code points in form C. */
  charactersMin: number
  /** Guesses that a password has to withstand, as a power of ten. */
  guessesMin: number
}

/**
 * What an account asks of a password: its length and that it is not guessed, and nothing of its composition
 * (NIST SP 800-63B-4 § 3.1.1.2). Beside a second factor a password need only outlast guesses at the API, alone also those at a
 * hash that was stolen with its keys.
 */
export const passwordPolicy = ({ hasSecondFactor }: { hasSecondFactor: boolean }): PasswordPolicy =>
  hasSecondFactor ? { charactersMin: 8, guessesMin: 6 } : { charactersMin: 15, guessesMin: 8 }

/** A password that somebody wants to set, and for whom. */
export interface WantedPassword {
  /** Canonical. */
  password: string
  /** Canonical. */
  email: string
  name: string
  hasSecondFactor: boolean
}

const productName = 'annals'
/** Shorter ones are initials and the like: they would be found in any password. */
const contextWordMin = 3

/** Words that are tried for this person first: service, address and name, whole and in parts. */
export function contextWordsOf({ email, name }: Pick<WantedPassword, 'email' | 'name'>): string[] {
  const [local = '', domain = ''] = email.split('@')
  const words = [productName, email, local, domain, name, name.replaceAll(/\s/gu, '')]
  for (const text of [email, name]) words.push(...text.split(/[^\p{L}\p{M}\p{N}]+/u))
  return [...new Set(words)].filter((word) => charactersOf(word) >= contextWordMin)
}

/** @returns why an account may not have this password; `undefined`: it may. Passwords that were set under another policy stay. */
export function passwordRefusal(
  { password, email, name, hasSecondFactor }: WantedPassword,
  vocabulary: Vocabulary,
): 'password-too-short' | 'password-too-common' | undefined {
  const { charactersMin, guessesMin } = passwordPolicy({ hasSecondFactor })
  if (charactersOf(password) < charactersMin) return 'password-too-short'
  return guessesOf(password, vocabulary, contextWordsOf({ email, name })) < guessesMin
    ? 'password-too-common'
    : undefined
}
