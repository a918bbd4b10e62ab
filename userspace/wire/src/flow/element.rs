// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a field is: its number, its name and its abstract data type (RFC 7012 section 3.1).

use std::borrow::Cow;

use super::iana::ELEMENTS;

/// The enterprise number under which a field's reverse direction is exported (RFC 5103).
pub const REVERSE_PEN: u32 = 29305;

/// Stands for the enterprise number of NetFlow v9 scope fields, which have a number space of their
/// own (RFC 3954 section 6.1: 1 system, 2 interface, 3 line card, 4 cache, 5 template).
pub const V9_SCOPE: u32 = u32::MAX;

/// Identifies a field: an enterprise number (0 = IANA's registry) and an element number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    /// Private enterprise number, 0 for IANA's own, or [`V9_SCOPE`].
    pub pen: u32,
    /// Element number without the enterprise bit.
    pub id: u16,
}

/// How the bytes of a field are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned integer, 1 to 8 octets (reduced-size encoding allowed).
    Unsigned,
    /// Two's complement integer, 1 to 8 octets.
    Signed,
    /// IEEE 754, 4 or 8 octets.
    Float,
    /// 1 is true, 2 is false.
    Boolean,
    /// Six octets.
    Mac,
    /// Opaque octets.
    Octets,
    /// UTF-8.
    Text,
    /// Seconds since 1970, 4 octets.
    Seconds,
    /// Milliseconds since 1970, 8 octets.
    Milliseconds,
    /// NTP timestamp of microsecond precision, 8 octets.
    Microseconds,
    /// NTP timestamp, 8 octets.
    Nanoseconds,
    /// Four octets.
    Ipv4,
    /// Sixteen octets.
    Ipv6,
    /// Structured data (RFC 6313), kept as octets.
    List,
}

impl Element {
    /// An element of IANA's registry.
    pub const fn iana(id: u16) -> Self {
        Self { pen: 0, id }
    }

    /// The data type; what no registry here knows is opaque octets.
    pub fn kind(self) -> Kind {
        match self.pen {
            0 | REVERSE_PEN => ELEMENTS.get(usize::from(self.id)).map_or(Kind::Octets, |e| e.1),
            V9_SCOPE => Kind::Unsigned,
            _ => Kind::Octets,
        }
    }

    /// The registered name, or one made of the numbers: `ie97`, `enterprise2011/45`.
    pub fn name(self) -> Cow<'static, str> {
        let registered = || match ELEMENTS.get(usize::from(self.id)) {
            Some((name, _)) if !name.is_empty() => Some(*name),
            _ => None,
        };
        match (self.pen, self.id) {
            (V9_SCOPE, 1) => Cow::Borrowed("scopeSystem"),
            (V9_SCOPE, 2) => Cow::Borrowed("scopeInterface"),
            (V9_SCOPE, 3) => Cow::Borrowed("scopeLineCard"),
            (V9_SCOPE, 4) => Cow::Borrowed("scopeCache"),
            (V9_SCOPE, 5) => Cow::Borrowed("scopeTemplate"),
            (V9_SCOPE, id) => Cow::Owned(format!("scope{id}")),
            (0, id) => registered().map_or_else(|| Cow::Owned(format!("ie{id}")), Cow::Borrowed),
            (REVERSE_PEN, id) => match registered() {
                Some(name) => Cow::Owned(reversed(name)),
                None => Cow::Owned(format!("reverseIe{id}")),
            },
            (pen, id) => Cow::Owned(format!("enterprise{pen}/{id}")),
        }
    }
}

/// RFC 5103 section 6.1: `octetDeltaCount` becomes `reverseOctetDeltaCount`.
fn reversed(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => format!("reverse{}{}", first.to_ascii_uppercase(), letters.as_str()),
        None => String::from("reverse"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_indexed_by_number() {
        for (id, name, kind) in [
            (1, "octetDeltaCount", Kind::Unsigned),
            (8, "sourceIPv4Address", Kind::Ipv4),
            (27, "sourceIPv6Address", Kind::Ipv6),
            (56, "sourceMacAddress", Kind::Mac),
            (82, "interfaceName", Kind::Text),
            (90, "mplsVpnRouteDistinguisher", Kind::Octets),
            (152, "flowStartMilliseconds", Kind::Milliseconds),
            (234, "ingressVRFID", Kind::Unsigned),
            (302, "selectorId", Kind::Unsigned),
            (311, "samplingProbability", Kind::Float),
            (492, "srhFlagsIPv6", Kind::Unsigned),
        ] {
            assert_eq!(Element::iana(id).name(), name);
            assert_eq!(Element::iana(id).kind(), kind, "{name}");
        }
    }

    #[test]
    fn names_without_a_registry_say_their_numbers() {
        assert_eq!(Element::iana(97).name(), "ie97");
        assert_eq!(Element::iana(40_000).name(), "ie40000");
        assert_eq!(Element { pen: 2011, id: 45 }.name(), "enterprise2011/45");
        assert_eq!(Element { pen: REVERSE_PEN, id: 1 }.name(), "reverseOctetDeltaCount");
        assert_eq!(Element { pen: V9_SCOPE, id: 2 }.name(), "scopeInterface");
    }
}
