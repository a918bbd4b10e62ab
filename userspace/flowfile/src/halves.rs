// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Addresses as numbers: the upper and the lower 64 bits of the IPv6 address, IPv4 as the IPv6 address
//! that stands for it (`::ffff:192.0.2.1`, RFC 4291, 2.5.5.2).
//!
//! Whether an address is in a network is then a mask and a comparison, where its text would have to be
//! taken apart. The upper half of IPv4 is always 0, which costs a file nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the lower half of an IPv4 address has above its 32 bits.
pub const V4: u64 = 0xffff << 32;

/// Upper and lower 64 bits.
pub fn of(addr: IpAddr) -> (u64, u64) {
    match addr {
        IpAddr::V4(addr) => (0, V4 | u64::from(addr.to_bits())),
        IpAddr::V6(addr) => {
            let bits = addr.to_bits();
            ((bits >> 64) as u64, bits as u64)
        }
    }
}

/// Whether these are of an IPv4 address.
pub fn is_v4(hi: u64, lo: u64) -> bool {
    hi == 0 && lo >> 32 == V4 >> 32
}

/// The address of these halves. IPv4 in the clothes of IPv6 comes back as IPv4.
pub fn addr(hi: u64, lo: u64) -> IpAddr {
    if is_v4(hi, lo) {
        return Ipv4Addr::from_bits(lo as u32).into();
    }
    Ipv6Addr::from_bits(u128::from(hi) << 64 | u128::from(lo)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ipv4_has_one_place() {
        let of = |text: &str| of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), (0, 0xffff_c000_0201));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8::1"), (0x2001_0db8_0000_0000, 1));
        assert!(is_v4(0, V4) && is_v4(0, V4 | 0xffff_ffff));
        assert!(!is_v4(0, 0) && !is_v4(0, V4 << 1) && !is_v4(1, V4));
    }

    proptest! {
        #[test]
        fn addresses_come_back(bits: u128, v4: u32) {
            let v6 = IpAddr::from(Ipv6Addr::from_bits(bits)).to_canonical();
            for addr_ in [v6, IpAddr::from(Ipv4Addr::from_bits(v4))] {
                let (hi, lo) = of(addr_);
                prop_assert_eq!(addr(hi, lo), addr_);
                prop_assert_eq!(is_v4(hi, lo), addr_.is_ipv4());
            }
        }
    }
}
