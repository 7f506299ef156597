/** One row: which log the read models were made from, and whether it is refused. The projector writes it, the query API reads it. */
export const logStateTable = 'annals.log_state'
