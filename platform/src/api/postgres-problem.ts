import { isDataException, isTransientPostgresError } from '../postgres'
import { HttpProblem } from './problem'

/**
 * What a failed statement means to a client of an API whose statements have no values but those of the request; its schemas should have
 * refused those that cannot be searched for, so the log tells.
 * @returns `undefined`: a fault of ours, or no error of PostgreSQL.
 */
export function postgresProblem(error: unknown): HttpProblem | undefined {
  if (isTransientPostgresError(error))
    return new HttpProblem('dependency-unavailable', { headers: { 'retry-after': '2' }, cause: error })
  if (isDataException(error))
    return new HttpProblem('invalid-request', {
      detail: 'The request has a value that cannot be searched for.',
      cause: error,
    })
  return undefined
}
