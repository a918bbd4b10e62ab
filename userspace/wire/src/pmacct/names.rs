// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers as the words pmacct prints.

/// IP protocol names as in `/etc/protocols`; others are printed as numbers.
pub(super) fn protocol(number: u8) -> String {
    let name = match number {
        0 => "ip",
        1 => "icmp",
        2 => "igmp",
        3 => "ggp",
        4 => "ipencap",
        5 => "st",
        6 => "tcp",
        7 => "cbt",
        8 => "egp",
        9 => "igp",
        12 => "pup",
        17 => "udp",
        20 => "hmp",
        22 => "xns-idp",
        27 => "rdp",
        29 => "iso-tp4",
        36 => "xtp",
        37 => "ddp",
        41 => "ipv6",
        43 => "ipv6-route",
        44 => "ipv6-frag",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        55 => "mobile",
        58 => "ipv6-icmp",
        59 => "ipv6-nonxt",
        60 => "ipv6-opts",
        73 => "rspf",
        81 => "vmtp",
        88 => "eigrp",
        89 => "ospf",
        94 => "ipip",
        97 => "etherip",
        98 => "encap",
        103 => "pim",
        108 => "ipcomp",
        112 => "vrrp",
        115 => "l2tp",
        124 => "isis",
        132 => "sctp",
        133 => "fc",
        136 => "udplite",
        137 => "mpls-in-ip",
        _ => return number.to_string(),
    };
    name.to_owned()
}

/// The six classic TCP flags from the highest bit down; pmacct prints no others.
pub(super) fn tcp_flags(flags: u16) -> Vec<&'static str> {
    const NAMES: [(u16, &str); 6] =
        [(0x20, "URG"), (0x10, "ACK"), (0x08, "PSH"), (0x04, "RST"), (0x02, "SYN"), (0x01, "FIN")];
    NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect()
}

/// IANA's forwarding status (element 89): two bits of status, six of reason.
pub(super) fn forwarding_status(status: u8) -> &'static str {
    match status {
        64 => "FORWARDED Unknown",
        65 => "FORWARDED Fragmented",
        66 => "FORWARDED Not Fragmented",
        128 => "DROPPED Unknown",
        129 => "DROPPED ACL deny",
        130 => "DROPPED ACL drop",
        131 => "DROPPED Unroutable",
        132 => "DROPPED Adjacency",
        133 => "DROPPED Fragmentation and DF set",
        134 => "DROPPED Bad header checksum",
        135 => "DROPPED Bad total Length",
        136 => "DROPPED Bad header length",
        137 => "DROPPED bad TTL",
        138 => "DROPPED Policer",
        139 => "DROPPED WRED",
        140 => "DROPPED RPF",
        141 => "DROPPED For us",
        142 => "DROPPED Bad output interface",
        143 => "DROPPED Hardware",
        192 => "CONSUMED Unknown",
        193 => "CONSUMED Punt Adjacency",
        194 => "CONSUMED Incomplete Adjacency",
        195 => "CONSUMED For us",
        _ => "UNKNOWN Unclassified",
    }
}

/// BMP statistics counters by type.
pub(super) fn counter(kind: u16) -> &'static str {
    match kind {
        0 => "Number of prefixes rejected by inbound policy",
        1 => "Number of (known) duplicate prefix advertisements",
        2 => "Number of (known) duplicate withdraws",
        3 => "Number of updates invalidated due to CLUSTER_LIST loop",
        4 => "Number of updates invalidated due to AS_PATH loop",
        5 => "Number of updates invalidated due to ORIGINATOR_ID",
        6 => "Number of updates invalidated due to AS_CONFED loop",
        7 => "Number of routes in Adj-RIBs-In",
        8 => "Number of routes in Loc-RIB",
        9 => "Number of routes in per-AFI/SAFI Abj-RIB-In",
        10 => "Number of routes in per-AFI/SAFI Loc-RIB",
        11 => "Number of updates subjected to treat-as-withdraw",
        12 => "Number of prefixes subjected to treat-as-withdraw",
        13 => "Number of duplicate update messages received",
        14 => "Number of routes in Adj-RIBs-Out Pre-Policy",
        15 => "Number of routes in Adj-RIBs-Out Post-Policy",
        16 => "Number of routes in per-AFI/SAFI Abj-RIB-Out Pre-Policy",
        17 => "Number of routes in per-AFI/SAFI Abj-RIB-Out Post-Policy",
        _ => "Unknown",
    }
}

/// BMP peer types; `None` beyond Loc-RIB.
pub(super) fn peer_type(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "Global Instance Peer",
        1 => "RD Instance Peer",
        2 => "Local Instance Peer",
        3 => "Loc-RIB Instance Peer",
        _ => return None,
    })
}

/// Peer Down reasons.
pub(super) fn peer_down(reason: u8) -> Option<&'static str> {
    Some(match reason {
        0 => "Reserved",
        1 => "The local system closed the session",
        2 => "The local system closed the session without a notification message",
        3 => "The remote system closed the session",
        4 => "The remote system closed the session without a notification message",
        5 => "Info for this peer will no longer be sent for configuration reasons",
        6 => "Local system closed, TLV data Follows",
        _ => return None,
    })
}

/// Termination reasons.
pub(super) fn termination(reason: u16) -> &'static str {
    match reason {
        0 => "Session administratively closed",
        1 => "Unspecified reason",
        2 => "Out of resources",
        3 => "Redundant connection",
        4 => "Session permanently administratively closed",
        _ => "Unknown",
    }
}
