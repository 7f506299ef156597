/** The row that an earlier event of the stream made. @throws Error when there is none: the event is parked. */
export function begun<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new Error('the event came before the one that begins its stream')
  return row
}
