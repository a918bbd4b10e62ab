// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An address with a length: what is announced.

use std::{fmt, net::IpAddr, str::FromStr};

/// A prefix whose host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    addr: IpAddr,
    length: u8,
}

impl Prefix {
    /// True for IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.addr.is_ipv6()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.length)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// `192.0.2.1/32`; an address alone is its host route.
    fn from_str(text: &str) -> Result<Self, String> {
        let (addr, length) = match text.split_once('/') {
            Some((addr, length)) => (addr, Some(length)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| format!("{addr:?} is no address"))?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or_else(|| format!("/{length} is not within /0 to /{most}"))?,
        };
        let bits = match addr {
            IpAddr::V4(addr) => u128::from(addr.to_bits()) << 96,
            IpAddr::V6(addr) => addr.to_bits(),
        };
        // A shift by all 128 bits is not defined, and nothing is left to check then.
        if bits.checked_shl(length.into()).is_some_and(|host| host != 0 && length < most) {
            return Err(format!("{text} has bits set behind its length"));
        }
        Ok(Self { addr, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes_are_read_and_written_alike() {
        for (text, shown) in [
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("2001:DB8:ffff::1", "2001:db8:ffff::1/128"),
            ("::/0", "::/0"),
        ] {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(prefix.to_string(), shown);
            assert_eq!(prefix.is_ipv6(), shown.contains(':'));
        }
    }

    #[test]
    fn what_a_router_would_refuse_is_refused_here() {
        for (text, word) in [
            ("192.0.2.1/33", "/33"),
            ("192.0.2.1/24", "behind its length"),
            ("2001:db8::1/64", "behind its length"),
            ("192.0.2/24", "no address"),
            ("::1/x", "/x"),
        ] {
            let error = text.parse::<Prefix>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
