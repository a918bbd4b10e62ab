# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Entries by looking back over days, and what they would have matched."""

import bisect
from collections import defaultdict
from fractions import Fraction

NEVER = "never"


class Aging:
    def holds(self, gap, aging):
        if aging == NEVER:
            return True
        a = int(aging)
        return {"up-to": gap <= a, "under": gap < a, "one-more": gap <= a + 1}[self.s["gap"]]

    def in_force(self, v4, aging):
        """The days on which each pair is redirected: by its own entry, or its reverse's."""
        learnt = self.learnt(v4, aging)
        if self.s["directions"] == "one-way":
            return learnt
        force = defaultdict(set)
        for (src, dst), held in learnt.items():
            force[src, dst] |= held
            force[dst, src] |= held
        return force

    def learnt(self, v4, aging):
        """The days on which each pair has an entry, up to the day after the last."""
        force = {}
        days_on = [*self.range, *(day + 1 for day in self.range[-1:])]
        traffic = defaultdict(set)
        if self.s["refresh"] == "any-traffic":
            for r in self.records:
                if r.fault is None:
                    traffic[r.pairs[v4]].add(r.day)
        for pair, days in self.of_pair[v4].items():
            alpha = sorted(days)
            if self.s["refresh"] == "alpha-flows":
                force[pair] = {
                    day for day in days_on
                    if (at := bisect.bisect_left(alpha, day)) and self.holds(day - alpha[at - 1], aging)
                }
                continue
            held, last = set(), None
            for day in days_on:
                if last is not None and self.holds(day - last, aging):
                    held.add(day)
                    if day in traffic[pair]:
                        last = day
                else:
                    last = None
                if day in days:
                    last = day
            force[pair] = held
        return force

    def next_tables(self):
        """What is in force on the day after, and the last alpha flows of it."""
        rows = []
        for v4 in (24, 32):
            for aging in self.s["aging"]:
                entries = []
                for pair, held in self.in_force(v4, aging).items():
                    if self.range[-1] + 1 in held:
                        last = max(self.of_pair[v4][pair])
                        lsps = {flow["lsp"] for flow in self.of_pair[v4][pair][last]}
                        entries.append({
                            "src": pair[0], "dst": pair[1], "last_alpha": self.label(last),
                            "lsps": [{"ingress": str(a), "egress": b} for a, b in lsps],
                        })
                rows.append({"width": str(v4), "aging": aging, "entries": entries})
        return rows

    def credit(self, flows, installed):
        """Bytes of a prefix flow on a day, and how many of them an entry matched."""
        whole = self.s["bytes"] == "whole-flows"
        reports = [r for f in flows for r in (f["reports"] if whole else f["alpha"])]
        total = sum(r.bytes for r in reports)
        if installed:
            return total, total
        if self.s["credit"] == "same-day":
            seen = min(r.last for f in flows for r in f["alpha"])
            return sum(r.bytes for r in reports if r.first >= seen), total
        return 0, total

    def table_days(self):
        rows, effects, sizes, new = [], [], [], []
        for v4 in (24, 32):
            first_day = {pair: min(days) for pair, days in self.of_pair[v4].items()}
            for index, aging in enumerate(self.s["aging"]):
                learnt = self.learnt(v4, aging)
                table = []
                for day in self.range:
                    one = {pair for pair, days in learnt.items() if day in days}
                    both = one | {(b, a) for a, b in one}
                    entries = one if self.s["directions"] == "one-way" else both
                    matched = total = installs = 0
                    for pair, days in self.of_pair[v4].items():
                        if day in days:
                            got, all_bytes = self.credit(days[day], pair in entries)
                            matched, total = matched + got, total + all_bytes
                            installs += pair not in entries
                    table.append({
                        "width": f"/{v4}", "aging": aging, "day": self.label(day),
                        "size": len(entries), "one_way": len(one), "both_ways": len(both),
                        "matched_bytes": matched, "total_bytes": total, "new_install": installs,
                        "new_ever": sum(first == day for first in first_day.values()),
                    })
                rows += table
                effects.append(self.effect(f"/{v4}", aging, table))
                row = {"width": f"/{v4}", "aging": aging}
                for column, end in ("size", ""), ("one_way", "_one_way"), ("both_ways", "_both_ways"):
                    counts = [r[column] for r in table]
                    row[f"mean{end}"] = sum(counts) / len(counts) if counts else None
                    row[f"largest{end}"] = max(counts, default=0)
                    row[f"last{end}"] = counts[-1] if counts else 0
                sizes.append(row)
                kinds = [("-", "ever", "new_ever")] if index == 0 else []
                for name, kind, column in kinds + [(aging, "install", "new_install")]:
                    counts = [r[column] for r in table]
                    new.append({
                        "width": f"/{v4}", "aging": name, "new": kind, "in_all": sum(counts),
                        "days_0": counts.count(0), "days_1": counts.count(1),
                        "days_2_or_more": sum(c > 1 for c in counts),
                    })
        return {"table_days": rows, "effectiveness": effects, "table_sizes": sizes,
                "new_prefix_flows": new}

    def effect(self, width, aging, table):
        table = table[self.s["warm_up"]:]
        matched = sum(r["matched_bytes"] for r in table)
        total = sum(r["total_bytes"] for r in table)
        shares = [Fraction(r["matched_bytes"], r["total_bytes"]) for r in table if r["total_bytes"]]
        percent = None
        if shares and self.s["mean"] == "of-days":
            percent = float(100 * sum(shares) / len(shares))
        elif shares:
            percent = float(Fraction(100 * matched, total))
        return {"width": width, "aging": aging, "matched_bytes": matched, "total_bytes": total,
                "effectiveness_percent": percent}
