export { judge, type Bearer, type Standing } from './standing'
export type { Mark, MarkSubject } from './mark'
export {
  createRevocationMarks,
  revocationMarkMs,
  type RecentMarks,
  type RevocationMarks,
  type RevocationMarksOptions,
} from './marks'
