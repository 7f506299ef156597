/**
 * On every answer: nothing here is to be rendered, framed, guessed at or kept. A route that may be cached says so itself.
 * @param hstsSeconds for how long a browser comes back by https only (RFC 6797), subdomains of the API's host included; 0: it is not
 *   told. Over plain http browsers pass over it.
 * @see https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
 * @see https://owasp.org/www-project-secure-headers/
 */
export const answerHeaders = (hstsSeconds: number) => ({
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  // Of loads without CORS (images, scripts); pages that CORS lets in are not held up by it.
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  ...(hstsSeconds > 0 ? { 'strict-transport-security': `max-age=${hstsSeconds}; includeSubDomains` } : {}),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
})
