/**
 * How many guesses a password withstands when what is likely is tried first: common words, rows of keys, what was there before.
 * The measure is a power of ten. It follows zxcvbn (Wheeler, USENIX Security 2016), reduced to what takes no time: a password
 * is cut into pieces, and the cheapest way to cut it counts.
 */
const powers = {
  /** Any character: far fewer than there are, since people choose them. */
  character: 1,
  /** Half: digits are years, dates and telephone numbers. */
  digit: 0.5,
  /** A common password: there are some ten thousand, and the first ones are tried first. */
  common: 3,
  /** Three keys or letters in a row, however many; a repetition of what stood there before; a word of the context. */
  foreseen: 1,
}

/** Keys and letters that follow each other, of the keyboards and alphabets that leaked passwords show. Backwards too. */
const rows = [
  '1234567890',
  ...['qwertyuiop', 'asdfghjkl', 'zxcvbnm', 'qwertzuiop', 'yxcvbnm', 'azertyuiop', 'qsdfghjklm', 'wxcvbn'],
  ...['1qaz', '2wsx', '3edc', '4rfv', '5tgb', '6yhn', '7ujm', '8ik,', '9ol.', '0p;/'],
  ...['abcdefghijklmnopqrstuvwxyz', 'йцукенгшщзхъ', 'фывапролджэ', 'ячсмитьбю', 'абвгдежзийклмнопрстуфхцчшщъыьэюя'],
  ...['αβγδεζηθικλμνξοπρστυφχψω', 'あいうえお', '가나다라마바사아자차카타파하'],
]
const rowMin = 3
const repetitionMin = 2

/** Characters that stand for others, so that `P4$$w0rd` and `password` are one. `1` and `!` are read as i and as l. */
const alike: Record<string, string> = {
  ...{ '0': 'o', '1': 'i', '!': 'i', '|': 'i', l: 'i', '3': 'e', '€': 'e', '4': 'a', '@': 'a', '5': 's', $: 's' },
  ...{ '7': 't', '+': 't', '8': 'b', '9': 'g' },
}

/** No password has more, in whatever form: a longer text is only begun. */
const unitsMax = 256

/** Lower case, without accents of Latin, Greek and Cyrillic; full-width and other forms of compatibility are the plain ones. */
const plainOf = (text: string) =>
  (isAscii(text)
    ? text
    : text
        .normalize('NFKD')
        .replaceAll(/[\u0300-\u036f]/g, '')
        .normalize('NFC')
  )
    .toLowerCase()
    .slice(0, unitsMax)
/** Nothing to decompose: tens of thousands of words are prepared at each start. */
const isAscii = (text: string) => /^[ -~]*$/.test(text)
/** Of the same length as the plain text. */
const foldedOf = (plain: string) => plain.replaceAll(/[0134578!|l€@$+9]/gu, (each) => alike[each]!)
const reversed = (text: string) => Array.from(text).toReversed().join('')

/** What everybody who guesses knows, prepared once. */
export interface Vocabulary {
  /** Powers of ten by word, folded; backwards too. */
  powers: ReadonlyMap<string, number>
  wordMax: number
}

/** @param common passwords that leaks show to be common. Those of fewer than four characters are worth no more than their characters. */
export function vocabularyOf(common: Iterable<string>): Vocabulary {
  const words = new Map<string, number>()
  const add = (word: string, power: number) => {
    for (const each of [word, reversed(word)]) if (!(words.get(each)! <= power)) words.set(each, power)
  }
  for (const word of common) if (word.length > powers.common) add(foldedOf(plainOf(word)), powers.common)
  for (const row of rows)
    for (let from = 0; from < row.length; from++)
      for (let to = from + rowMin; to <= row.length; to++) add(foldedOf(row.slice(from, to)), powers.foreseen)
  let wordMax = 0
  for (const word of words.keys()) wordMax = Math.max(wordMax, word.length)
  return { powers: words, wordMax }
}

/** @returns for each place how many characters from there on stood somewhere before; they may overlap: `aaaa` has 3 from its second. */
function repetitions(text: string): number[] {
  const longest = Array.from({ length: text.length }, () => 0)
  for (let distance = 1; distance < text.length; distance++) {
    let run = 0
    for (let at = text.length - 1; at >= distance; at--) {
      run = text[at] === text[at - distance] ? run + 1 : 0
      longest[at] = Math.max(longest[at]!, run)
    }
  }
  return longest
}

/**
 * @param context words that somebody who guesses tries for this person: of the address, the name, the service.
 * @returns the power of ten of the guesses; an empty password withstands none.
 */
export function guessesOf(password: string, vocabulary: Vocabulary, context: readonly string[]): number {
  const plain = plainOf(password)
  const text = foldedOf(plain)
  const own = context.map((word) => foldedOf(plainOf(word))).flatMap((word) => [word, reversed(word)])
  const repeated = repetitions(text)
  /** Of the text up to each place; the cheapest way that was found. */
  const cheapest = Array.from({ length: text.length + 1 }, () => Infinity)
  cheapest[0] = 0
  for (let at = 0; at < text.length; at++) {
    const soFar = cheapest[at]!
    const piece = (length: number, power: number) => {
      cheapest[at + length] = Math.min(cheapest[at + length]!, soFar + power)
    }
    piece(1, /\d/u.test(plain[at]!) ? powers.digit : powers.character)
    for (let length = repetitionMin; length <= repeated[at]!; length++) piece(length, powers.foreseen)
    for (let length = rowMin; length <= Math.min(vocabulary.wordMax, text.length - at); length++) {
      const power = vocabulary.powers.get(text.slice(at, at + length))
      if (power !== undefined) piece(length, power)
    }
    for (const word of own) if (word && text.startsWith(word, at)) piece(word.length, powers.foreseen)
  }
  return cheapest[text.length]!
}
