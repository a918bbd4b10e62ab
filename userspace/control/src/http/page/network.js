// SPDX-License-Identifier: Apache-2.0 OR MIT
// The topology: routers in columns by their distance from where traffic comes in (in rows where the
// page is narrow), links, paths along them, and on each path how many alpha flows live.

const NARROW = 560, NODES = 60, COLOURS = 6, BADGE = 10;

// Routers by distance: a list of lists of names.
function layers(view) {
  const near = new Map(view.routers.map(router => [router.name, new Set()]));
  const join = (a, b) => {
    for (const [one, other] of [[a, b], [b, a]]) {
      if (!near.has(one)) near.set(one, new Set());
      near.get(one).add(other);
    }
  };
  view.links.forEach(link => join(link.a, link.b));
  view.lsps.forEach(lsp => lsp.hops.slice(1).forEach((hop, at) => join(lsp.hops[at], hop)));
  const starts = [...view.lsps.map(lsp => lsp.ingress), ...near.keys()];
  const seen = new Set(), found = [];
  for (const start of starts.filter(name => near.has(name))) {
    if (seen.has(start)) continue;
    let layer = [start], depth = 0;
    seen.add(start);
    while (layer.length > 0) {
      (found[depth] = found[depth] || []).push(...layer);
      const next = [];
      for (const name of layer) {
        for (const other of near.get(name)) {
          if (!seen.has(other)) { seen.add(other); next.push(other); }
        }
      }
      layer = next;
      depth += 1;
    }
  }
  // Neighbours side by side: each by the mean place of those it is linked to in the layer before.
  for (let at = 1; at < found.length; at += 1) {
    const place = new Map(found[at - 1].map((name, index) => [name, index]));
    const mean = name => {
      const known = [...near.get(name)].filter(other => place.has(other)).map(other => place.get(other));
      return known.length > 0 ? sum(known) / known.length : found[at - 1].length;
    };
    const means = new Map(found[at].map(name => [name, mean(name)]));
    found[at].sort((a, b) => means.get(a) - means.get(b));
  }
  return found;
}

// Where each router is, for a drawing of `width` pixels.
function places(found, width) {
  const narrow = width < NARROW;
  const across = narrow ? Math.max(...found.map(layer => layer.length)) : found.length;
  const step = (width - 8) / across;
  const node = { w: Math.min(150, step * (narrow ? 0.86 : 0.6)), h: 30 };
  if (node.w < 40) return null;
  const down = narrow ? 120 : 96;
  const rowsMost = narrow ? found.length : Math.max(...found.map(layer => layer.length));
  const at = new Map();
  found.forEach((layer, depth) => layer.forEach((name, index) => {
    const spread = narrow ? (width - 8) / layer.length : 0;
    at.set(name, narrow
      ? { x: 4 + spread * (index + 0.5), y: 28 + depth * down }
      : { x: 4 + step * (depth + 0.5), y: 28 + down * (index + (rowsMost - layer.length) / 2) });
  }));
  return { at, node, height: 56 + (rowsMost - 1) * down };
}

// A line beside the straight one, so that paths over one link can be told apart.
function beside(from, to, offset) {
  const [dx, dy] = [to.x - from.x, to.y - from.y], length = Math.hypot(dx, dy) || 1;
  const [x, y] = [-dy / length * offset, dx / length * offset];
  return [{ x: from.x + x, y: from.y + y }, { x: to.x + x, y: to.y + y }];
}

// One side of a link, whichever way it is walked.
const lane = (from, to, index, count) => (index - (count - 1) / 2) * 8 * (before(from, to) ? 1 : -1);
const before = (from, to) => from.x < to.x || (from.x === to.x && from.y < to.y);

function draw(view, width) {
  const found = layers(view);
  const nodes = sum(found.map(layer => layer.length));
  if (nodes === 0 || nodes > NODES) return null;
  const placed = places(found, width);
  if (placed === null) return null;
  const { at, node, height } = placed;
  const title = 'Routers, links, paths and the alpha flows on them';
  const drawing = s('svg', { class: 'plot', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-labelledby': 'topology-t topology-d' },
    s('title', { id: 'topology-t' }, title), s('desc', { id: 'topology-d' }, words(view)));
  for (const link of view.links) {
    const [a, b] = [at.get(link.a), at.get(link.b)];
    const said = `${link.a} – ${link.b}: ${megabits(link.mbps)} each way, ${megabits(link.reserved_mbps)} of ${megabits(link.reservable_mbps)} reserved`;
    drawing.append(s('line', { class: 'link', x1: a.x, y1: a.y, x2: b.x, y2: b.y }, s('title', {}, said)));
  }
  const users = new Map();
  view.lsps.forEach((lsp, index) => lsp.hops.slice(1).forEach((hop, step) => {
    const key = [lsp.hops[step], hop].sort().join('\n');
    users.set(key, [...(users.get(key) || []), index]);
  }));
  const badges = [];
  view.lsps.forEach((lsp, index) => {
    const live = view.flows.filter(flow => flow.lsp === lsp.name).length;
    const pieces = lsp.hops.slice(1).map((hop, step) => {
      const from = lsp.hops[step], own = users.get([from, hop].sort().join('\n'));
      const [here, there] = [at.get(from), at.get(hop)];
      return { own, forth: before(here, there), ends: beside(here, there, lane(here, there, own.indexOf(index), own.length)) };
    });
    if (pieces.length === 0) return;
    const path = pieces.map(({ ends: [a, b] }) => `M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`).join('');
    const look = `lsp s${index % COLOURS}${lsp.state === 'up' ? '' : ' down'}${live > 0 ? ' busy' : ''}`;
    drawing.append(s('path', { class: look, d: path, 'data-lsp': lsp.name }, s('title', {}, `${lsp.name}: ${lsp.state}`)));
    // On the piece that most other paths keep off, between its routers, each at its own place.
    const piece = pieces.reduce((best, one) => one.own.length < best.own.length ? one : best);
    const [a, b] = piece.ends, [dx, dy] = [Math.abs(b.x - a.x), Math.abs(b.y - a.y)], length = Math.hypot(dx, dy);
    const inside = Math.min(node.w / 2 / dx, node.h / 2 / dy) + (BADGE + 4) / length, free = 1 - 2 * inside;
    const count = piece.own.length, place = inside + free * (piece.own.indexOf(index) + 0.5) / count;
    if (live > 0 && free * length / count >= 14) {
      const part = piece.forth ? place : 1 - place;
      badges.push([a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part, index, live, lsp.name]);
    }
  });
  for (const router of found.flat()) {
    const { x, y } = at.get(router), known = view.routers.find(one => one.name === router) || {};
    const look = `node${known.device ? ' device' : ''}${known.trouble ? ' trouble' : ''}`;
    const said = [router, known.address, known.device && `routes by ${known.device}`, known.trouble].filter(Boolean).join(', ');
    drawing.append(
      s('rect', { class: look, x: x - node.w / 2, y: y - node.h / 2, width: node.w, height: node.h, rx: 6, 'data-router': router }, s('title', {}, said)),
      s('text', { x, y: y + 4, 'text-anchor': 'middle' }, cut(router, Math.floor((node.w - 8) / 7.5))));
  }
  for (const [x, y, index, live, name] of badges) {
    drawing.append(
      s('circle', { class: `badge s${index % COLOURS}`, cx: x, cy: y, r: BADGE, 'data-flows': name }, s('title', {}, `${name}: ${plural(live, 'alpha flow', 'alpha flows')}`)),
      s('text', { x, y: y + 4, 'text-anchor': 'middle' }, live > 99 ? '99' : live));
  }
  return drawing;
}

function words(view) {
  const up = view.lsps.filter(lsp => lsp.state === 'up').length;
  const on = view.flows.filter(flow => flow.lsp !== null).length;
  return `${plural(view.routers.length, 'router', 'routers')}, ${plural(view.links.length, 'link', 'links')}, ` +
    `${up} of ${plural(view.lsps.length, 'path', 'paths')} up, ${on} of ${plural(view.flows.length, 'alpha flow', 'alpha flows')} on a path.`;
}

function topology(view) {
  const figure = document.getElementById('topology'), place = figure.querySelector('.drawing');
  const width = Math.max(240, Math.floor(place.clientWidth));
  const data = [width, view.routers, view.links, view.lsps.map(lsp => [lsp.name, lsp.state, lsp.hops]), view.flows.map(flow => flow.lsp)];
  if (!changed('topology', data)) return;
  const drawing = draw(view, width);
  place.replaceChildren(drawing || h('p', { class: 'small' }, view.routers.length === 0 ? 'No topology is known.' : 'The network is too large to draw; its paths are below.'));
  figure.querySelector('figcaption').textContent = `${words(view)} A path that is not up is dotted; a number is how many alpha flows live on a path.`;
}

// What is reserved, else what its narrowest link has, against what its flows send.
function room(view, lsp) {
  const narrowest = lsp.hops.slice(1).map((hop, at) => view.links.find(link =>
    (link.a === lsp.hops[at] && link.b === hop) || (link.b === lsp.hops[at] && link.a === hop)));
  const known = narrowest.filter(Boolean).map(link => link.mbps);
  return lsp.rate_mbps !== null ? lsp.rate_mbps : known.length > 0 ? Math.min(...known) : null;
}

function lsps(view) {
  const list = view.lsps.map((lsp, index) => {
    const most = room(view, lsp), live = view.flows.filter(flow => flow.lsp === lsp.name).length;
    const used = h('td', {});
    if (most !== null && most > 0) {
      used.append(h('meter', { min: 0, max: most, value: Math.min(lsp.used_mbps, most), 'aria-label': `${lsp.name} used` }),
        `${megabits(lsp.used_mbps)}, ${megabits(Math.max(0, most - lsp.used_mbps))} free`);
    } else {
      used.append(megabits(lsp.used_mbps));
    }
    return h('tr', { 'data-lsp': lsp.name },
      h('td', {}, h('span', { class: `swatch s${index % COLOURS}` }), lsp.name),
      cell(`${lsp.ingress} → ${lsp.egress}`), cell(lsp.state, lsp.state === 'up' ? null : 'amiss'), cell(lsp.wanted_by),
      cell(lsp.rate_mbps === null ? 'no' : megabits(lsp.rate_mbps), 'n'), used, cell(number(live), 'n'),
      cell(lsp.until_ms === null ? 'no end' : instant(lsp.until_ms, view.now_ms)));
  });
  rows('lsps', list, view.left_off.lsps);
}
