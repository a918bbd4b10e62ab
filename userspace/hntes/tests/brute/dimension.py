# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The four dimensions of alpha raw flows, and of all."""

import bisect
import math
from collections import defaultdict
from fractions import Fraction

from lsps import SECOND, spread
from records import order


def shape(reports):
    first, last = min(r.first for r in reports), max(r.last for r in reports)
    duration, rate, burst = last - first, None, None
    whole = sum(r.bytes for r in reports)
    if duration > SECOND // 10:
        rate = whole * 8 * SECOND // duration
        bins = defaultdict(lambda: [0, 0])
        for r in reports:
            spread(bins, r, SECOND, 0, first)
        peak = max(a for a, _ in bins.values())
        burst = peak * duration * 1000 // (whole * SECOND) if whole else None
    return whole, rate, duration, burst


def dimensions(study):
    found = tables(study, [shape(flow["reports"]) for flow in study.flows], "")
    if study.s["all_flows"]:
        views = defaultdict(lambda: defaultdict(list))
        for r in study.records:
            if r.fault is None:
                views[r.day, r.key][r.exporter].append(r)
        shapes = []
        for exporters in views.values():
            best = sorted(exporters, key=lambda e: (-sum(r.bytes for r in exporters[e]), order(e)))
            kept = best if study.s["duplicates"] == "each" else best[:1]
            shapes += [shape(exporters[exporter]) for exporter in kept]
        found.update(tables(study, shapes, "_all"))
    return found


def tables(study, shapes, suffix):
    names = ["size", "rate", "duration", "burstiness"]
    heavy = ["elephant", "cheetah", "tortoise", "porcupine"]
    light = ["mouse", "snail", "dragonfly", "stingray"]
    limits = []
    units = [1, 1, SECOND, 1000]
    for axis in range(4):
        given = study.s[heavy[axis]]
        values = [s[axis] for s in shapes if s[axis] is not None]
        if given is not None:
            limits.append(given * units[axis])
        elif values:
            mean = Fraction(sum(values), len(values))
            variance = Fraction(sum(v * v for v in values), len(values)) - mean * mean
            limits.append(float(mean) + study.s["deviations"] * math.sqrt(variance))
        else:
            limits.append(None)
    cells = defaultdict(lambda: [0, 0])
    for shape in shapes:
        bits = [v is not None and v > limit for v, limit in zip(shape, limits)]
        number = sum(1 << i for i, bit in enumerate(bits) if bit)
        name = " ".join(heavy[i] if bit else light[i] for i, bit in enumerate(bits))
        cells[number, name][0] += 1
        cells[number, name][1] += shape[0]
    correlations = []
    for a in range(4):
        for b in range(a + 1, 4):
            both = [(s[a], s[b]) for s in shapes if s[a] is not None and s[b] is not None]
            correlations.append({"one": names[a], "other": names[b],
                                 "rank_correlation": spearman(both)})
    return {
        f"dimensions{suffix}": [{"cell": name, "flows": n, "bytes": total}
                       for (_, name), (n, total) in sorted(cells.items())],
        f"dimension_limits{suffix}": [{"dimension": n, "limit": v} for n, v in zip(names, limits)],
        f"dimension_ranks{suffix}": correlations,
    }


def spearman(pairs):
    def ranks(values):
        ordered = sorted(values)
        return [bisect.bisect_left(ordered, v) + bisect.bisect_right(ordered, v) + 1
                for v in values]
    x, y = ranks([p[0] for p in pairs]), ranks([p[1] for p in pairs])
    n = len(pairs)
    cov = n * sum(a * b for a, b in zip(x, y)) - sum(x) * sum(y)
    var = [n * sum(a * a for a in v) - sum(v) ** 2 for v in (x, y)]
    if not n or 0 in var:
        return None
    return cov / math.sqrt(var[0]) / math.sqrt(var[1])
