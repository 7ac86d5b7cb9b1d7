// Texts that strangers chose, on their way to people.

/**
 * Characters that are not seen, or that change how others are: controls, overrides of direction, joiners, half pairs.
 * The console has the same list (console/dom.js).
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** Such characters as escapes of JSON and JavaScript, but for those in `kept`. */
export const escapeUnseen = (text: string, kept = ''): string =>
  text.replace(UNSEEN, (character) => (kept.includes(character) ? character : escaped(character)))

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}
