// SPDX-License-Identifier: Apache-2.0 OR MIT
// Asks for the view each second and shows it; says so when it is old, or when nothing is touched.

const EACH_MS = 1000, WAIT_MS = 4000, OLD_MS = 5000;
const STATES = ['absent', 'pending', 'installed', 'idle', 'withdrawing', 'failed'];

let last = null, lastAt = 0, trouble = '';

function tiles(view) {
  const on = view.flows.filter(flow => flow.lsp !== null).length, more = view.left_off.flows || 0;
  const up = view.lsps.filter(lsp => lsp.state === 'up').length;
  const states = Object.values(view.routes), of = name => sum(states.map(counts => counts[name] || 0));
  const all = sum(states.flatMap(counts => Object.values(counts)));
  const list = [
    ['Alpha flows', number(view.flows.length + more), false],
    ['of these on a path', number(on), false],
    ['Paths up', `${up} of ${view.lsps.length}`, false],
    ['Policy routes there', `${number(of('installed') + of('idle'))} of ${number(all)}`, false],
    ['Routes failed', number(of('failed')), of('failed') > 0],
    ['Tickets active', number(view.tickets.active || 0), false],
    ['Fell off', number(sum(view.lost.map(lost => lost.count))), false],
  ];
  document.getElementById('tiles').replaceChildren(...list.map(([name, value, amiss]) =>
    h('div', { class: amiss ? 'amiss' : null }, h('dt', {}, name), h('dd', {}, value))));
}

function flows(view) {
  rows('flows', view.flows.map(flow => h('tr', {},
    cell(flow.key), cell(flow.lsp === null ? 'IP routing' : flow.lsp), cell(flow.route, flow.route === 'failed' ? 'amiss' : null),
    cell(flow.rate_bps > 0 ? bits(flow.rate_bps) : '', 'n'), cell(bytes(flow.bytes), 'n'),
    cell(flow.begun_ms > 0 ? instant(flow.begun_ms, view.now_ms) : ''),
    cell(flow.begun_ms > 0 ? duration(flow.detected_ms - flow.begun_ms) : '', 'n'), cell(flow.ticket || ''))), view.left_off.flows);
}

function routes(view) {
  const counts = Object.values(view.routes);
  const more = [...new Set(counts.flatMap(Object.keys))].filter(state => !STATES.includes(state)).sort();
  const columns = [...STATES, ...more];
  document.querySelector('table[data-name="routes"]').tHead.replaceChildren(h('tr', {},
    h('th', { scope: 'col' }, 'router'), ...columns.map(state => h('th', { scope: 'col', class: 'n' }, state))));
  rows('routes', Object.entries(view.routes).map(([router, own]) => h('tr', {}, cell(router),
    ...columns.map(state => cell(own[state] ? number(own[state]) : '', state === 'failed' && own[state] ? 'n amiss' : 'n')))), view.left_off.routes);
}

function states(view) {
  const of = (what, counts) => Object.entries(counts).map(([state, count]) => h('tr', {}, cell(what), cell(state), cell(number(count), 'n')));
  rows('states', [...of('circuits', view.circuits), ...of('tickets', view.tickets)], 0);
}

function history(view) {
  rows('history', view.history.map(event => h('tr', {}, cell(number(event.seq), 'n'), cell(instant(event.at_ms, view.now_ms)),
    cell(event.what), cell(event.subject), cell(event.reason, 'words'))), view.left_off.history);
}

const silent = (view, input) => input.stale_after_ms !== null && view.now_ms - (input.last_ms === null ? view.started_ms : input.last_ms) > input.stale_after_ms;

function inputs(view) {
  rows('inputs', view.inputs.map(input => h('tr', {}, cell(input.name),
    cell(input.last_ms === null ? 'nothing yet' : `${duration(view.now_ms - input.last_ms)} ago`, silent(view, input) ? 'amiss' : null),
    cell([input.trouble, input.note].filter(Boolean).join('; '), input.trouble ? 'words amiss' : 'words'))), view.left_off.inputs);
}

function lost(view) {
  const some = view.lost.filter(one => one.count > 0);
  document.getElementById('lost-note').textContent = `${number(view.lost.length - some.length)} of ${plural(view.lost.length, 'counter is', 'counters are')} 0 and not listed.`;
  rows('lost', some.map(one => h('tr', {}, cell(one.name), cell(number(one.count), 'n'), cell(one.meaning, 'words'))), 0);
}

// What is to be said before all else, the worst first.
function banner(view, age) {
  const modes = {
    live: ['live', 'Live: circuits and policy routes are set.'],
    dry_run: ['dry', 'Dry run: nothing is touched. What is shown is what would be done.'],
    starting: ['wait', 'Starting: what there is, is read back before anything is done.'],
    stopping: ['wait', 'The loop is ending.'],
  };
  const broken = view.inputs.filter(input => input.trouble).map(input => `${input.name} (${input.trouble})`);
  const stale = view.inputs.filter(input => silent(view, input)).map(input => input.name);
  const [look, words] = modes[view.mode] || ['wait', `Mode ${view.mode}.`];
  if (trouble !== '' && performance.now() - lastAt > OLD_MS) {
    return ['stale', `Stale: no answer for ${duration(performance.now() - lastAt)} (${trouble}). What is shown is of ${instant(view.now_ms, view.now_ms)} UTC. ${view.mode === 'dry_run' ? words : ''}`];
  }
  if (age > OLD_MS) return ['stale', `Stale: the loop last said something ${duration(age)} ago. ${view.mode === 'dry_run' ? words : ''}`];
  if (broken.length > 0) return ['stale', `Input in trouble: ${broken.join(', ')}. ${words}`];
  if (stale.length > 0) return ['stale', `Stale input: nothing came lately from ${stale.join(', ')}. ${words}`];
  return [look, words];
}

function say() {
  const place = document.getElementById('banner');
  const [look, words] = last === null
    ? [trouble === '' ? 'wait' : 'stale', trouble === '' ? 'Waiting for the loop.' : `No answer yet (${trouble}).`]
    : banner(last, last.age_ms + (performance.now() - lastAt));
  if (place.textContent !== words) place.textContent = words;
  place.className = `banner ${look}`;
  document.body.classList.toggle('old', look === 'stale');
}

function show(view) {
  document.getElementById('main').hidden = false;
  document.getElementById('clock').textContent = `${new Date(view.now_ms).toISOString().slice(0, 19).replace('T', ' ')} UTC, running for ${duration(view.now_ms - view.started_ms)}`;
  document.title = `HNTES: ${plural(view.flows.length, 'alpha flow', 'alpha flows')}`;
  topology(view);
  delays(view);
  if (!changed('view', { ...view, age_ms: 0 })) return;
  [tiles, lsps, flows, routes, states, history, inputs, lost].forEach(part => part(view));
}

async function ask() {
  const stop = new AbortController(), late = setTimeout(() => stop.abort(), WAIT_MS);
  try {
    const answer = await fetch('/status.json', { signal: stop.signal, cache: 'no-store' });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const view = await answer.json();
    if (view.version !== 1) throw new Error(`version ${view.version} of the view: load this page again`);
    [last, lastAt, trouble] = [view, performance.now(), ''];
    show(view);
  } catch (error) {
    trouble = error.name === 'AbortError' ? 'it is late' : error.message;
  } finally {
    clearTimeout(late);
  }
  say();
}

async function run() {
  if (!document.hidden) await ask();
  setTimeout(run, EACH_MS);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
window.addEventListener('resize', () => { if (last !== null) { topology(last); delays(last); } });
run();
