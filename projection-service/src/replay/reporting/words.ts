/** 1234567 → `1,234,567`. */
export const grouped = (value: number | bigint): string => value.toLocaleString('en')

/** `1 event`, `2,000 events`. */
export const counted = (value: number, noun: string): string => `${grouped(value)} ${noun}${value === 1 ? '' : 's'}`

const two = (value: number) => String(value).padStart(2, '0')

/** Seconds as a person reads them: `8s`, `3m20s`, `1h05m`, `3d04h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s}s`
  if (s < 3_600) return `${Math.floor(s / 60)}m${two(s % 60)}s`
  if (s < 86_400) return `${Math.floor(s / 3_600)}h${two(Math.floor((s % 3_600) / 60))}m`
  return `${Math.floor(s / 86_400)}d${two(Math.floor((s % 86_400) / 3_600))}h`
}

/** ISO 8601 → `2026-11-23 10:03`, in UTC. */
export const minute = (at: string): string => at.slice(0, 16).replace('T', ' ')

/** Cuts a text that would pass a width, and says so. */
export const within = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, columns - 1)}…`

/** Breaks a text between words so that no line passes a width. */
export function wrapped(text: string, columns: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > columns) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\n')
}

interface CountedAgain {
  sampled: number
  recounted: { rows: number }
}

/** What speaks for a rebuilt read model beside the live one. */
export function againText({ sampled, recounted }: CountedAgain): string {
  const told = [
    ...(recounted.rows > 0 ? [`${counted(recounted.rows, 'row')} recounted`] : []),
    ...(sampled > 0 ? [`${counted(sampled, 'stream')} folded again`] : []),
  ]
  return told.length > 0 ? told.join(', ') : 'nothing was counted again'
}

/** All that was compared of a rebuild. */
export function verifiedText({
  compared,
  equal,
  ...again
}: CountedAgain & { compared: boolean; equal: boolean }): string {
  const live = !compared ? 'not compared with live' : equal ? 'equal to live' : 'differed from live'
  return `${live}; ${againText(again)}`
}
