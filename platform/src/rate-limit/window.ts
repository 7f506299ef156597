/** A window that slides: so many attempts of a key in the last so many milliseconds. */
export interface RateWindow {
  key: string
  /** From 1 on. */
  limit: number
  windowMs: number
}
