import { z } from 'zod'

/** Lengths of RFC 5321 § 4.5.3.1: local part, domain, and a path of 256 octets less its brackets. */
const localMax = 64
const domainMax = 253
const addressMax = 254
/** A domain in another script is shorter here than its A-label; what is longer than this is no address in any. */
const unitsMax = 1_000

/** Dot-atom of RFC 5322 § 3.2.3. Quoted local parts are not accepted: nobody has them, and few mailers carry them. */
const localForm = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
/** What may become a domain: letters, digits and marks of any script, hyphens and dots. */
const domainForm = /^[\p{L}\p{N}\p{M}.-]+$/u
/** LDH label of RFC 1123 § 2.1 (RFC 5890 § 2.3.1). */
const labelForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** What the releases before took for an address. */
const formerForm = /^(?:[a-z0-9_'+-]+\.)*[a-z0-9_'+-]*[a-z0-9_+-]@(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{2,}$/

/** ASCII form of a domain (UTS #46, as browsers map it), or `undefined`. U-labels become A-labels; an A-label must be a real one. */
function asciiDomain(domain: string): string | undefined {
  if (!domainForm.test(domain)) return undefined
  let ascii: string
  try {
    ascii = new URL(`http://${domain}`).hostname
  } catch {
    return undefined
  }
  const labels = ascii.split('.')
  const isName = labels.length >= 2 && labels.every((label) => labelForm.test(label)) && !/^\d+$/.test(labels.at(-1)!)
  return isName && ascii.length <= domainMax ? ascii : undefined
}

type Read = { address: string; fault?: undefined } | { address?: undefined; fault: string }

function readAddress(text: string): Read {
  const trimmed = text.length <= unitsMax ? text.trim() : ''
  const at = trimmed.lastIndexOf('@')
  const local = trimmed.slice(0, at)
  if (at < 1) return { fault: 'must be an e-mail address' }
  // Before anything becomes lower case: U+212A (the Kelvin sign) would become a "k".
  if (/[^\0-\x7f]/.test(local))
    return { fault: 'must have only ASCII characters before the @: addresses of RFC 6531 (SMTPUTF8) are not supported' }
  if (!localForm.test(local)) return { fault: 'must be an e-mail address' }
  if (local.length > localMax) return { fault: `must have at most ${localMax} characters before the @` }
  const domain = asciiDomain(trimmed.slice(at + 1))
  if (domain === undefined) return { fault: 'must be an e-mail address: what stands after the @ is no domain name' }
  const address = `${local.toLowerCase()}@${domain}`
  return address.length <= addressMax ? { address } : { fault: `must have at most ${addressMax} characters` }
}

/**
 * An address in the form in which it is compared: trimmed, lower case, its domain as A-labels (`bücher.example` →
 * `xn--bcher-kva.example`). `undefined`: it is none that can be registered.
 */
export const canonicalAddress = (text: string): string | undefined => readAddress(text).address

/** The same for an address that may have been registered before: forms that were accepted once are still compared as they were. */
export function knownAddress(text: string): string | undefined {
  const former = text.length <= addressMax && /^[\0-\x7f]*$/.test(text) ? text.trim().toLowerCase() : ''
  return canonicalAddress(text) ?? (formerForm.test(former) ? former : undefined)
}

const facts = { format: 'email', maxLength: addressMax }

/** An address that can be registered, in its canonical form. */
export const EmailAddress = z
  .string()
  .overwrite((text) => canonicalAddress(text) ?? text)
  .check(({ value, issues }) => {
    const { fault } = readAddress(value)
    if (fault) issues.push({ code: 'custom', message: fault, input: value })
  })
  .meta({ ...facts, description: 'ASCII before the @; a domain in another script is read as its A-label' })

/** An address that may be registered already, in its canonical form. */
export const KnownEmailAddress = z
  .string()
  .overwrite((text) => knownAddress(text) ?? text)
  .refine((text) => knownAddress(text) === text, 'must be an e-mail address')
  .meta(facts)

/** An address as an event is written with it: canonical already. */
export const writtenAddress = z
  .string()
  .refine((text) => canonicalAddress(text) === text, 'must be an e-mail address in canonical form')
  .meta(facts)
