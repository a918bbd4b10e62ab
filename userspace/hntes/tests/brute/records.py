# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Records from CSV files."""

import ipaddress
import math
from fractions import Fraction


class Record:
    __slots__ = ("told", "exporter", "first", "last", "key", "in_if", "hop", "out", "egress",
                 "octets", "scaled", "bytes", "day", "alpha", "fault", "pairs")


def address(text):
    addr = ipaddress.ip_address(text)
    mapped = getattr(addr, "ipv4_mapped", None)
    return mapped or addr


def order(addr):
    return (addr.version, int(addr))


def net(addr, v4):
    length = {24: (24, 64), 32: (32, 128)}[v4][0 if addr.version == 4 else 1]
    bits = 32 if addr.version == 4 else 128
    base = int(addr) >> (bits - length) << (bits - length)
    return f"{type(addr)(base)}/{length}"


def half_up(fraction):
    return math.floor(fraction + Fraction(1, 2))


def scale(octets, factor):
    return octets * factor if isinstance(factor, int) else half_up(octets * factor)


def read(path, addresses, nets, factors):
    """The records of a file, as they are told."""
    def addr(text):
        if text not in addresses:
            addresses[text] = address(text)
        return addresses[text]

    def prefix(addr, v4):
        if (addr, v4) not in nets:
            nets[addr, v4] = net(addr, v4)
        return nets[addr, v4]

    with open(path, encoding="ascii") as file:
        at = {name: index for index, name in enumerate(file.readline().strip().split(","))}
        for line in file:
            field = line.rstrip("\n").split(",")
            get = lambda name: field[at[name]]
            r = Record()
            r.told = addr(get("exporter")) if get("exporter") else None
            r.first, r.last = int(get("first_ns")), int(get("last_ns"))
            r.key = (addr(get("src")), addr(get("dst")), int(get("proto")),
                     int(get("src_port")), int(get("dst_port")))
            r.in_if = int(get("in_if"))
            hop, out = get("bgp_next_hop"), int(get("out_if"))
            r.hop = hop if hop and not addr(hop).is_unspecified else None
            r.out = f"if{out}" if out else None
            r.octets = int(get("octets"))
            sampling = get("sampling")
            if sampling not in factors:
                factor = Fraction(sampling) if sampling not in ("", "0") else None
                whole = factor is not None and factor.denominator == 1
                factors[sampling] = int(factor) if whole else factor
            factor = factors[sampling]
            r.scaled = None if factor is None else scale(r.octets, factor)
            r.pairs = {v4: (prefix(r.key[0], v4), prefix(r.key[1], v4)) for v4 in (24, 32)}
            yield r
