# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The figures of `hntes fam`, a second time, slowly and from the definitions.

Shares no code with the crates: it reads the CSV files itself and looks back over days instead of
aging a table, tries windows one by one, and asks every instant who is there. It prints the tables
that `hntes fam --json` prints, or a part of their columns, for the switches it is given.
"""

import datetime
import json
import sys
from collections import Counter, defaultdict
from fractions import Fraction

from aging import NEVER, Aging
from clock import clock
from dimension import dimensions
from lists import doors, routers
from lsps import beta, egress_order, simultaneous
from records import address, order, read, scale

SECOND = 10**9

DEFAULTS = {
    "h": 10**9, "t": 60.0, "grace": 0.0, "detector": "report", "threshold": "exceeds",
    "long_report": "spread", "hourly": False, "zone": "+00:00", "gap": "up-to",
    "mean": "ratio-of-sums", "warm_up": 0, "bytes": "alpha-reports", "refresh": "alpha-flows",
    "credit": "next-day", "duplicates": "once", "exporter": None, "ingress": [],
    "adjacent": 0.0, "utilisation_bin": 10.0, "aging": ["7", "14", "30", NEVER],
    "egress_from": "record", "egress": None, "doors": None, "assume_exporter": None,
    "assume_sampling": [], "capacity": None, "capacities": None, "directions": "one-way",
    "far": "31", "tables": None, "all_flows": False,
    "deviations": 3, "elephant": None, "cheetah": None, "tortoise": None, "porcupine": None,
}
LONGEST = 7 * 86400 * SECOND


class Study(Aging):
    def __init__(self, records, switches):
        self.s = {**DEFAULTS, **switches}
        self.t = round(self.s["t"] * SECOND)
        self.grace = round(self.s["grace"] * SECOND)
        self.ahead = clock(self.s["zone"])
        self.edges = {(address(e), int(i)) for e, i in
                      (edge.rsplit("/", 1) for edge in self.s["ingress"])}
        self.only = address(self.s["exporter"]) if self.s["exporter"] else None
        self.listed = routers(self.s["egress"]) if self.s["egress"] else lambda dst: None
        self.someone = self.s["assume_exporter"] and address(self.s["assume_exporter"])
        self.rates = {}
        for text in self.s["assume_sampling"]:
            *exporter, n = text.split("=")
            self.rates[address(exporter[0]) if exporter else None] = int(n)
        # Who sent a record has to be known.
        self.records = [r for r in records if r.told or self.someone]
        for record in self.records:
            self.judge(record)
        far = self.far_days()
        self.records = [r for r in self.records if r.day not in far]
        self.days = sorted({record.day for record in self.records})
        self.range = range(self.days[0], self.days[-1] + 1) if self.days else range(0)
        self.find_flows()

    # -- reading

    def judge(self, r):
        second = r.first // SECOND
        r.day = second // 3600 if self.s["hourly"] else (second + self.ahead(second)) // 86400
        r.alpha = False
        r.exporter = r.told or self.someone
        r.bytes = r.scaled
        if r.bytes is None and self.rates:
            n = self.rates.get(r.exporter, self.rates.get(None))
            r.bytes = n and scale(r.octets, n)
        told, listed = r.hop or r.out, self.listed(r.key[1])
        r.egress = (listed or told if self.s["egress_from"] == "table" else told or listed)
        r.egress = r.egress or "unknown"
        if self.only and r.exporter != self.only:
            r.fault = "other_exporter"
        elif self.edges and (r.exporter, r.in_if) not in self.edges:
            r.fault = "other_exporter"
        elif r.last < r.first:
            r.fault = "negative_duration"
        elif r.last - r.first > LONGEST:
            r.fault = "too_long"
        elif r.bytes is None:
            r.fault = "unknown_sampling"
        else:
            r.fault = None

    def far_days(self):
        """Days that are too far from those of most records."""
        if self.s["far"] == NEVER:
            return set()
        most = int(self.s["far"]) * (24 if self.s["hourly"] else 1)
        counts = Counter(r.day for r in self.records)
        groups = []
        for day in sorted(counts):
            if not groups or day - groups[-1][-1] > most + 1:
                groups.append([])
            groups[-1].append(day)
        if not groups:
            return set()
        size = lambda group: sum(counts[day] for day in group)
        bulk = min(groups, key=lambda group: (-size(group), group[0]))
        few = Fraction(size(bulk), 100 * len(bulk))
        far = set()
        for group in groups:
            empty = max(group[0] - bulk[-1], bulk[0] - group[-1]) - 1
            if group is not bulk and (size(group) < few or empty > 12 * most):
                far.update(group)
        return far

    def label(self, day):
        days, hour = divmod(day, 24) if self.s["hourly"] else (day, None)
        date = (datetime.date(1970, 1, 1) + datetime.timedelta(days=days)).isoformat()
        return date if hour is None else f"{date}T{hour:02}Z"

    def month(self, day):
        if self.s["hourly"]:
            day = (day * 3600 + self.ahead(day * 3600)) // 86400
        return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()[:7]

    # -- alpha raw flows

    def above(self, value):
        return value >= self.s["h"] if self.s["threshold"] == "reaches" else value > self.s["h"]

    def is_long(self, r):
        return self.s["long_report"] == "spread" and r.last - r.first > self.t + self.grace

    def alone(self, r):
        if self.is_long(r):
            return self.above(r.bytes * self.t // (r.last - r.first))
        return self.above(r.bytes)

    def within(self, r, start):
        """Bytes of a report inside [start, start + T]."""
        end = start + self.t
        if self.is_long(r):
            part = min(r.last, end) - max(r.first, start)
            return r.bytes * max(part, 0) // (r.last - r.first)
        late = r.first == start and r.last <= start + self.t + self.grace
        return r.bytes if r.first >= start and (r.last <= end or late) else 0

    def mark(self, reports):
        for r in reports:
            r.alpha = self.alone(r)
        if self.s["detector"] == "window":
            starts = {t for r in reports
                      for t in (r.first, r.last, r.first - self.t, r.last - self.t)}
            # Only windows that could hold enough; all of them for flows that could.
            if not self.above(sum(r.bytes for r in reports)):
                return
            for start in starts:
                inside = [(r, self.within(r, start)) for r in reports
                          if r.first <= start + self.t and r.last >= start]
                if self.above(sum(b for _, b in inside)):
                    for r, b in inside:
                        r.alpha = r.alpha or b > 0

    def find_flows(self):
        by_key = defaultdict(list)
        for r in self.records:
            if r.fault is None:
                by_key[r.day, r.key, r.exporter].append(r)
        seen = defaultdict(list)
        for (day, key, exporter), reports in by_key.items():
            self.mark(reports)
            if any(r.alpha for r in reports):
                seen[day, key].append((exporter, reports))
        self.flows = []
        self.alpha_keys = set(seen)
        for (day, key), views in seen.items():
            views.sort(key=lambda v: (-sum(r.bytes for r in v[1] if r.alpha), order(v[0])))
            for exporter, reports in views if self.s["duplicates"] == "each" else views[:1]:
                reports.sort(key=lambda r: (r.first, r.last, r.bytes, egress_order(r.egress)))
                alpha = [r for r in reports if r.alpha]
                self.flows.append({
                    "day": day, "key": key, "reports": reports, "alpha": alpha,
                    "bytes": sum(r.bytes for r in alpha), "whole": sum(r.bytes for r in reports),
                    "lsp": (exporter, alpha[0].egress), "pairs": reports[0].pairs,
                })
        self.of_pair = {24: defaultdict(dict), 32: defaultdict(dict)}
        for flow in self.flows:
            for v4, pair in flow["pairs"].items():
                self.of_pair[v4][pair].setdefault(flow["day"], []).append(flow)

    # -- tables

    def series(self):
        rows = []
        by_day = defaultdict(list)
        for flow in self.flows:
            by_day[flow["day"]].append(flow)
        present = set(self.days)
        good = Counter(r.day for r in self.records if r.fault is None)
        for day in self.range:
            flows = by_day[day]
            spans = sorted((r.first, r.last) for f in flows for r in f["alpha"])
            union, reached = 0, None
            for first, last in spans:
                begin = first if reached is None else max(first, reached)
                union += max(last - begin, 0)
                reached = last if reached is None else max(reached, last)
            of_one = defaultdict(int)
            for flow in flows:
                of_one[flow["pairs"][24]] += 1
            rows.append({
                "day": self.label(day), "missing": int(day not in present),
                "records": good[day],
                "raw_flows": len(flows), "alpha_bytes": sum(f["bytes"] for f in flows),
                "whole_bytes": sum(f["whole"] for f in flows),
                "alpha_time_sum_s": sum(last - first for first, last in spans) / 1e9,
                "alpha_time_union_s": union / 1e9,
                "most_of_one": max(of_one.values(), default=0),
            })
        return rows

    def prefix_flows(self):
        rows = []
        for v4 in (24, 32):
            counts = [len(days) for days in self.of_pair[v4].values()]
            pairs = set(self.of_pair[v4])
            rows.append({
                "width": f"/{v4}", "prefix_flows": len(counts), "on_one_day_only": counts.count(1),
                "both_ways": len(pairs | {(b, a) for a, b in pairs}),
                "on_over_a_quarter_of_days": sum(c > len(self.range) // 4 for c in counts),
            })
        return rows

    def lsp_months(self):
        active = {self.month(day): set() for day in self.days}
        for flow in self.flows:
            active[self.month(flow["day"])].add(flow["lsp"])
        rows, known = [], set()
        months = sorted(active)
        year, month = map(int, months[0].split("-")) if months else (0, 0)
        while months and (name := f"{year:04}-{month:02}") <= months[-1]:
            now = active.get(name, set())
            rows.append({"month": name, "repeated": len(known), "total": len(known | now),
                         "new": len(now - known), "active": len(now)})
            known |= now
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return rows

    def left_out(self):
        rows = []
        present = set(self.days)
        faulty = defaultdict(list)
        for r in self.records:
            if r.fault:
                faulty[r.day].append(r)
        for day in self.range:
            own = faulty[day]
            count = lambda fault: sum(r.fault == fault for r in own)
            unknown = [r for r in own if r.fault == "unknown_sampling"]
            if day not in present:
                rows.append({"day": self.label(day), "missing": 1})
            elif own:
                rows.append({
                    "day": self.label(day), "missing": 0, "unknown_sampling": len(unknown),
                    "unknown_octets": sum(r.octets for r in unknown),
                    "unknown_above_h": sum(self.above(r.octets) for r in unknown),
                    "negative_duration": count("negative_duration"), "too_long": count("too_long"),
                    "other_exporter": count("other_exporter"),
                })
        return rows

    def tables(self):
        makers = {
            "series": lambda: {"series": self.series()},
            "aging": self.table_days,
            "prefix_flows": lambda: {"prefix_flows": self.prefix_flows()},
            "lsp_months": lambda: {"lsp_months": self.lsp_months()},
            "simultaneous": lambda: simultaneous(self),
            "beta": lambda: beta(self),
            "left_out": lambda: {"left_out": self.left_out()},
            "dimensions": lambda: dimensions(self),
        }
        if self.s["doors"]:
            makers["doors"] = lambda: doors(self)
        if self.s["tables"] == ["next"]:
            return {"next": self.next_tables()}
        found = {}
        for name in self.s["tables"] or makers:
            found.update(makers[name]())
        return found


def main():
    request = json.load(sys.stdin)
    caches = {}, {}, {}
    records = [r for path in request["files"] for r in read(path, *caches)]
    answers = []
    for switches in request["switches"]:
        answers.append(Study(records, switches).tables())
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
