# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What goes on on each LSP: flows at once, beta traffic, utilisation."""

import bisect
from collections import defaultdict
from fractions import Fraction

from lists import capacities
from records import address, order

SECOND = 10**9


def egress_order(egress):
    if egress == "unknown":
        return (2, 0, 0)
    if egress.startswith("if"):
        return (1, int(egress[2:]), 0)
    return (0, *order(address(egress)))


def disjoint(spans):
    merged = []
    for first, last in sorted(s for s in spans if s[0] < s[1]):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return merged


def exposed(r, busy):
    life = r.last - r.first
    at = max(bisect.bisect_left(busy, [r.first]) - 1, 0)
    met = 0
    for first, last in busy[at:]:
        if first > r.last:
            break
        if life == 0 and first <= r.first < last:
            return r.bytes
        met += max(min(last, r.last) - max(first, r.first), 0)
    return r.bytes * met // life if life else 0


def spread(bins, r, width, column, origin=0):
    first, last = r.first - origin, r.last - origin
    if first == last:
        bins[first // width][column] += r.bytes
        return
    done = 0
    for number in range(first // width, (last - 1) // width + 1):
        until = min((number + 1) * width, last)
        sent = r.bytes * (until - first) // (last - first)
        bins[number][column] += sent - done
        done = sent


def simultaneous(study):
    gap = round(study.s["adjacent"] * SECOND)
    by_lsp = defaultdict(list)
    for flow in study.flows:
        by_lsp[flow["lsp"]].append(flow)
    rows, times = [], []
    for lsp in sorted(by_lsp, key=lambda lsp: (order(lsp[0]), egress_order(lsp[1]))):
        stays, rates = [], []
        for flow in by_lsp[lsp]:
            reached = None
            for r in flow["reports"]:
                if r.last > r.first:
                    if reached is None or r.first > reached[1] + gap:
                        reached = [r.first, r.last]
                        stays.append(reached)
                    reached[1] = max(reached[1], r.last)
                    rates.append((r.first, r.last, r.bytes * 8 * SECOND // (r.last - r.first)))
        instants = sorted({at for stay in stays for at in stay})
        begins, ends = sorted(s[0] for s in stays), sorted(s[1] for s in stays)
        at_least = defaultdict(int)
        most, most_at = 0, instants[0] if instants else 0
        for at, after in zip(instants, instants[1:] + instants[-1:]):
            now = bisect.bisect_right(begins, at) - bisect.bisect_right(ends, at)
            if now > most:
                most, most_at = now, at
            for k in range(1, now + 1):
                at_least[k] += after - at
        peak = 0
        begins = sorted(rates)
        sums = [0]
        for _, _, rate in begins:
            sums.append(sums[-1] + rate)
        by_end = sorted((last, rate) for _, last, rate in rates)
        end_sums = [0]
        for _, rate in by_end:
            end_sums.append(end_sums[-1] + rate)
        firsts, lasts = [b[0] for b in begins], [e[0] for e in by_end]
        for at in firsts:
            now = sums[bisect.bisect_right(firsts, at)] - end_sums[bisect.bisect_right(lasts, at)]
            peak = max(peak, now)
        name = {"ingress": str(lsp[0]), "egress": lsp[1]}
        rows.append({**name, "raw_flows": len(by_lsp[lsp]), "most": most,
                     "most_at_s": most_at / 1e9, "busy_s": at_least[1] / 1e9, "peak_bps": peak})
        for k in range(1, most + 1):
            times.append({**name, "at_least": k, "time_s": at_least[k] / 1e9,
                          "share_of_busy_percent": percent(at_least[k], at_least[1])})
    return {"simultaneous": rows, "simultaneous_time": times}


def percent(part, whole):
    return float(Fraction(100 * part, whole)) if whole else None


def shares(row, columns):
    found = {name: row[name] for name in columns}
    for kind in ("beta1", "beta2"):
        part = row[f"{kind}_bytes"]
        found[f"{kind}_share_of_lsp_percent"] = percent(part, row["alpha_bytes"] + part)
        found[f"{kind}_share_of_beta_percent"] = percent(
            row[f"{kind}_views_bytes"], row[f"all_{kind}_bytes"])
    return found


def beta(study):
    whole, days, usage = [], [], []
    lsps = {flow["lsp"] for flow in study.flows}
    if study.s["directions"] == "both":
        lsps |= {(address(egress), str(ingress)) for ingress, egress in lsps
                 if egress != "unknown" and not egress.startswith("if")}
    told = capacities(study.s["capacities"]) if study.s["capacities"] else {}
    bin_ns = round(study.s["utilisation_bin"] * SECOND)
    for v4 in (24, 32):
        for aging in study.s["aging"]:
            force = study.in_force(v4, aging)
            has = lambda pair, day: day in force.get(pair, ())
            busy = defaultdict(list)
            loads = defaultdict(lambda: defaultdict(lambda: [0, 0]))
            rows = {day: defaultdict(int) for day in study.range}
            riding = [f for f in study.flows if has(f["pairs"][v4], f["day"])]
            for flow in riding:
                busy[flow["lsp"]] += [(r.first, r.last) for r in flow["alpha"]]
            busy = {lsp: disjoint(spans) for lsp, spans in busy.items()}
            for flow in study.flows:
                rows[flow["day"]]["all_beta1_bytes"] += flow["whole"] - flow["bytes"]
            for flow in riding:
                row = rows[flow["day"]]
                rest = [r for r in flow["reports"] if not r.alpha]
                row["alpha_bytes"] += flow["bytes"]
                row["beta1_flows"] += bool(rest)
                for r in flow["reports"]:
                    spread(loads[flow["lsp"]], r, bin_ns, 0 if r.alpha else 1)
                for r in rest:
                    row["beta1_bytes"] += r.bytes
                    row["beta1_views_bytes"] += r.bytes
                    row["beta1_records"] += 1
                    row["beta1_exposed_bytes"] += exposed(r, busy.get(flow["lsp"], []))
            views = defaultdict(list)
            for r in study.records:
                if r.fault is None and (r.day, r.key) not in study.alpha_keys:
                    rows[r.day]["all_beta1_bytes"] += r.bytes
                    rows[r.day]["all_beta2_bytes"] += r.bytes
                    if has(r.pairs[v4], r.day):
                        rows[r.day]["beta1_views_bytes"] += r.bytes
                        rows[r.day]["beta2_views_bytes"] += r.bytes
                        views[r.day, r.pairs[v4], r.exporter].append(r)
                        if (r.exporter, r.egress) in lsps:
                            spread(loads[r.exporter, r.egress], r, bin_ns, 1)
            kept = defaultdict(list)
            for (day, pair, exporter), records in views.items():
                kept[day, pair].append((-sum(r.bytes for r in records), order(exporter), records))
            for (day, _), candidates in kept.items():
                candidates.sort(key=lambda c: c[:2])
                for _, _, records in candidates if study.s["duplicates"] == "each" else candidates[:1]:
                    for kind in ("beta1", "beta2"):
                        row = rows[day]
                        row[f"{kind}_bytes"] += sum(r.bytes for r in records)
                        row[f"{kind}_records"] += len(records)
                        row[f"{kind}_flows"] += len({r.key for r in records})
                        row[f"{kind}_exposed_bytes"] += sum(
                            exposed(r, busy.get((r.exporter, r.egress), [])) for r in records)
            columns = ["alpha_bytes", "all_beta1_bytes", "all_beta2_bytes"] + [
                f"{kind}_{what}" for kind in ("beta1", "beta2")
                for what in ("bytes", "records", "flows", "exposed_bytes", "views_bytes")]
            head = {"width": f"/{v4}", "aging": aging}
            for day in study.range:
                days.append({**head, "day": study.label(day), **shares(rows[day], columns)})
            total = defaultdict(int)
            for name in columns:
                total[name] = sum(rows[day][name] for day in study.range)
            whole.append({**head, "days": len(study.range), **shares(total, columns)})
            usage += [{**head, **row} for row in usage_of(study, loads, bin_ns, told)]
    idle = [{"ingress": str(ingress), "egress": egress, "capacity_bps": told[ingress, egress]}
            for ingress, egress in sorted(set(told) - lsps,
                                          key=lambda lsp: (order(lsp[0]), egress_order(lsp[1])))]
    return {"beta": whole, "beta_days": days, "lsp_utilisation": usage,
            "unused_capacities": idle}


def usage_of(study, loads, bin_ns, told):
    period = len(study.range) * (3600 if study.s["hourly"] else 86400) * SECOND
    for lsp in sorted(loads, key=lambda lsp: (order(lsp[0]), egress_order(lsp[1]))):
        bins = loads[lsp]
        count = max(-(-period // bin_ns), len(bins))
        full = sorted(a + b for a, b in bins.values())
        def percentile(p):
            rank = -(-count * p // 100) - (count - len(full))
            return full[rank - 1] if rank > 0 else 0
        alpha, beta = sum(a for a, _ in bins.values()), sum(b for _, b in bins.values())
        rate = lambda octets, time: octets * 8 * SECOND // time
        row = {
            "ingress": str(lsp[0]), "egress": lsp[1], "bins": count,
            "busy_bins": sum(f > 0 for f in full), "alpha_bytes": alpha, "beta_bytes": beta,
            "mean_bps": rate(alpha + beta, count * bin_ns),
            "mean_alpha_bps": rate(alpha, count * bin_ns),
            "mean_beta_bps": rate(beta, count * bin_ns),
            "p50_bps": rate(percentile(50), bin_ns), "p95_bps": rate(percentile(95), bin_ns),
            "p99_bps": rate(percentile(99), bin_ns), "max_bps": rate(percentile(100), bin_ns),
        }
        capacity = told.get(lsp, study.s["capacity"])
        row["capacity_bps"] = capacity
        if capacity:
            for p in (50, 80, 100):
                limit = Fraction(capacity * p, 100)
                over = sum(Fraction(f * 8 * SECOND, bin_ns) > limit for f in full)
                row[f"above_{p}_s"] = over * bin_ns / 1e9
            for name in ("mean", "p95", "max"):
                row[f"{name}_percent"] = percent(row[f"{name}_bps"], capacity)
        yield row
