// What forms are made of: every control with a label of its own.
import { element } from './dom.js'

/**
 * @param {string} label
 * @param {Record<string, string | number | boolean>} [attributes]
 */
export function textField(label, attributes = {}) {
  const input = element('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes })
  return { input, label: element('label', {}, label, input) }
}

/**
 * @param {string} label
 * @param {boolean} [isChecked]
 */
export function checkbox(label, isChecked = false) {
  const input = element('input', { type: 'checkbox', checked: isChecked })
  return { input, label: element('label', { class: 'check' }, input, label) }
}

/**
 * @param {string} label
 * @param {readonly (readonly [value: string, text: string])[]} choices
 */
export function choice(label, choices) {
  const input = element('select', {}, ...choices.map(([value, text]) => element('option', { value }, text)))
  return { input, label: element('label', {}, label, input) }
}

/**
 * Terms and what they say, one below the other.
 * @param {readonly (readonly [term: string, says: string | Node])[]} pairs
 */
export const terms = (pairs) =>
  element(
    'dl',
    { class: 'terms' },
    ...pairs.map(([term, says]) => element('div', {}, element('dt', {}, term), element('dd', {}, says)))
  )
