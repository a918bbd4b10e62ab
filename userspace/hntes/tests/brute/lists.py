# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Lists beside the records: egress routers, data doors, capacities of LSPs."""

import ipaddress
from collections import defaultdict
from fractions import Fraction

from records import address, order


def lines(path):
    with open(path, encoding="ascii") as file:
        for line in file:
            if words := line.split("#")[0].split():
                yield ipaddress.ip_network(words[0]), words[1:]


def routers(path):
    """From an address to the router listed for it."""
    listed = sorted(((net.prefixlen, net, words[0]) for net, words in lines(path)),
                    key=lambda entry: -entry[0])
    known = {}

    def router(addr):
        if addr not in known:
            known[addr] = next((name for _, net, name in listed if addr in net), None)
        return known[addr]
    return router


def capacities(path):
    """From an LSP to its bits per second."""
    units = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    told = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            if words := line.split("#")[0].split():
                ingress, egress, rate = words
                number, factor = (rate[:-1], units[rate[-1]]) if rate[-1] in units else (rate, 1)
                if egress != "unknown" and not egress.startswith("if"):
                    egress = str(address(egress))
                told[address(ingress), egress] = int(Fraction(number) * factor)
    return told


def doors(study):
    """Which ends of alpha flows are data doors."""
    listed = [(net, words[0], {int(p) for p in words[1].split(",")} if words[1:] else None)
              for net, words in lines(study.s["doors"])]
    classes = defaultdict(lambda: [0, set(), 0])
    strangers, used = defaultdict(int), set()
    for flow in study.flows:
        src, dst, _, *ports = flow["key"]
        ends = []
        for end in (src, dst):
            found = [number for number, (net, _, only) in enumerate(listed)
                     if end in net and (only is None or only & set(ports))]
            used.update(found)
            ends.append(bool(found))
            if not found:
                strangers[end] += flow["bytes"]
        row = classes[tuple(ends)]
        row[0] += 1
        row[1].add(flow["pairs"][24])
        row[2] += flow["bytes"]
    names = [((True, True), "both"), ((True, False), "src"), ((False, True), "dst"),
             ((False, False), "none")]
    return {
        "doors": [{"class": name, "raw_flows": classes[key][0],
                   "prefix_flows": len(classes[key][1]), "alpha_bytes": classes[key][2]}
                  for key, name in names if key in classes],
        "undeclared_hosts": [{"host": str(host), "alpha_bytes": total} for host, total in
                             sorted(strangers.items(), key=lambda h: (-h[1], order(h[0])))],
        "unused_doors": [{"door": name} for number, (_, name, _) in enumerate(listed)
                         if number not in used],
    }
