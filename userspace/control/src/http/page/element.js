// SPDX-License-Identifier: Apache-2.0 OR MIT
// Elements and words. All text goes in as text: names come from networks and holders.
'use strict';

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A cell of a table: text, and how it looks.
const cell = (text, kind) => h('td', { class: text === '' ? `none ${kind || ''}` : kind }, text === '' ? '–' : text);

// Whether `data` is other than it was when `key` was last drawn.
const drawn = new Map();
function changed(key, data) {
  const text = JSON.stringify(data);
  if (drawn.get(key) === text) return false;
  drawn.set(key, text);
  return true;
}

// Puts rows into a table, or one that says there are none.
function rows(name, list, left) {
  const table = document.querySelector(`table[data-name="${name}"]`);
  const columns = Math.max(1, table.querySelectorAll('thead th').length);
  const whole = list.length > 0 ? list : [h('tr', {}, h('td', { class: 'none', colspan: columns }, 'none'))];
  if (left > 0) whole.push(h('tr', {}, h('td', { class: 'none', colspan: columns }, `${number(left)} more are not listed`)));
  table.tBodies[0].replaceChildren(...whole);
}

function number(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

// Three digits that count.
function short(value) {
  return value >= 100 ? number(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value, base) {
  const units = ['', 'k', 'M', 'G', 'T', 'P'];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return `${at === 0 ? number(value) : short(value)} ${units[at]}${base}`;
}

const bytes = value => scaled(value, 'B');
const bits = value => scaled(value, 'b/s');
const megabits = value => scaled(value * 1e6, 'b/s');

function duration(ms) {
  if (ms < 0) return '0 s';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${ms < 10000 ? (ms / 1000).toFixed(1) : Math.floor(ms / 1000)} s`;
  if (ms < 3600000) return `${Math.floor(ms / 60000)} min ${Math.floor(ms / 1000) % 60} s`;
  if (ms < 86400000) return `${Math.floor(ms / 3600000)} h ${Math.floor(ms / 60000) % 60} min`;
  return `${Math.floor(ms / 86400000)} d ${Math.floor(ms / 3600000) % 24} h`;
}

// Instants in UTC, as the audit log has them.
function instant(ms, now) {
  const text = new Date(ms).toISOString();
  return Math.abs(now - ms) < 86400000 ? text.slice(11, 19) : text.slice(0, 19).replace('T', ' ');
}

const sum = list => list.reduce((total, value) => total + value, 0);
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
const cut = (text, most) => text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
