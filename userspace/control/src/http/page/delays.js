// SPDX-License-Identifier: Apache-2.0 OR MIT
// Histograms of delays: a bar a bin, and below it the bin's upper bound.

// Bounds are round.
const bound = ms => duration(ms).replace('.0 ', ' ').replace(' 0 s', '');

function histogram(delay, width, at) {
  const bins = delay.counts.length, top = Math.max(1, ...delay.counts), high = 150, floor = 122;
  const step = (width - 8) / bins, each = Math.ceil(58 / step);
  const total = sum(delay.counts), id = `delay-${at}`;
  const said = total === 0 ? 'none yet' : `${number(total)}, on average ${duration(delay.sum_ms / total)}, half within ${within(delay, 0.5)}, 95 % within ${within(delay, 0.95)}`;
  const drawing = s('svg', { class: 'plot', viewBox: `0 0 ${width} ${high}`, role: 'img', 'aria-labelledby': `${id}-t ${id}-d` },
    s('title', { id: `${id}-t` }, `Histogram: ${delay.name}`), s('desc', { id: `${id}-d` }, `${delay.meaning}: ${said}.`));
  delay.counts.forEach((count, bin) => {
    const x = 4 + bin * step, tall = count === 0 ? 0 : Math.max(2, (floor - 22) * count / top);
    const said = bin < delay.bounds_ms.length ? `at most ${bound(delay.bounds_ms[bin])}` : 'more';
    drawing.append(s('rect', { class: 'bar', x: x + 1, y: floor - tall, width: Math.max(1, step - 2), height: tall, 'data-count': count }, s('title', {}, `${said}: ${number(count)}`)));
    const fits = `${number(count)}`.length * 7.5 < step;
    if (count > 0 && fits) drawing.append(s('text', { x: x + step / 2, y: floor - tall - 5, 'text-anchor': 'middle' }, number(count)));
    const last = bin === bins - 1, mark = last ? 'more' : bound(delay.bounds_ms[bin]);
    if (bin % each === 0 && (bins - 1 - bin) * step > 50) {
      drawing.append(s('text', { class: 'dim', x: Math.max(x + step / 2, 22), y: floor + 18, 'text-anchor': 'middle' }, mark));
    }
    if (last) drawing.append(s('text', { class: 'dim', x: x + step - 2, y: floor + 18, 'text-anchor': 'end' }, mark));
  });
  drawing.append(s('line', { class: 'axis', x1: 4, x2: width - 4, y1: floor, y2: floor }));
  return [drawing, said];
}

// The bound that so much of all is within.
function within(delay, share) {
  const wanted = share * sum(delay.counts);
  let seen = 0;
  for (const [bin, count] of delay.counts.entries()) {
    seen += count;
    if (seen >= wanted) return bin < delay.bounds_ms.length ? bound(delay.bounds_ms[bin]) : 'more than all bounds';
  }
  return 'none';
}

function delays(view) {
  const place = document.getElementById('delays');
  const width = Math.max(240, Math.floor(view.delays.length > 1 && place.clientWidth > 980 ? (place.clientWidth - 20) / 2 - 26 : place.clientWidth - 26));
  if (!changed('delays', [width, view.delays])) return;
  const figures = view.delays.map((delay, at) => {
    const [drawing, said] = histogram(delay, width, at);
    return h('figure', { class: 'figure', id: `delay-${at}` }, h('h3', {}, delay.name), drawing, h('figcaption', {}, `${delay.meaning}: ${said}.`));
  });
  place.replaceChildren(...(figures.length > 0 ? figures : [h('p', { class: 'small' }, 'Nothing was measured yet.')]));
}
