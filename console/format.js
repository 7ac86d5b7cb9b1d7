// Figures for people. A number and its unit stay on one line.

const SPACE = '\u00a0'

const WHOLE = new Intl.NumberFormat('en')
const ONE_DIGIT = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const THREE_DIGITS = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const SIZES = ['B', 'kB', 'MB', 'GB', 'TB']

/** @param {number} number */
export const count = (number) => WHOLE.format(number)

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`

/** @param {number} number in bytes */
export function bytes(number) {
  let [size, value] = [0, number]
  for (; value >= 999.5 && size < SIZES.length - 1; size++) value /= 1_000
  return `${THREE_DIGITS.format(value)}${SPACE}${SIZES[size]}`
}

/** @param {number} perSecond */
export const rate = (perSecond) => (perSecond >= 10 ? WHOLE.format(Math.round(perSecond)) : ONE_DIGIT.format(perSecond))

/** @param {number} milliseconds */
export const milliseconds = (milliseconds) =>
  `${milliseconds >= 10 ? count(Math.round(milliseconds)) : ONE_DIGIT.format(milliseconds)}${SPACE}ms`

/** @param {number} share 0 to 1 */
export const percent = (share) => `${WHOLE.format(Math.round(share * 100))}${SPACE}%`

/**
 * Two units at most: `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds))
  const [days, hours] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600)]
  if (days > 0) return `${count(days)} d ${hours % 24} h`
  const minutes = Math.floor(whole / 60)
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`
}

/** @param {number | null} seconds */
export const age = (seconds) => (seconds === null ? '–' : duration(seconds))

/** @param {string | null} time ISO 8601 */
export const ageOf = (time) => (time === null ? '–' : duration((Date.now() - Date.parse(time)) / 1_000))

/** @param {number} time ms since 1970 */
export const clock = (time) => new Date(time).toLocaleTimeString('en-GB')

/** @param {string} time ISO 8601 */
export const dateAndTime = (time) => new Date(time).toLocaleString('sv-SE')
