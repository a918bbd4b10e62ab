// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Prefix-preserving anonymisation (Crypto-PAn; Xu, Fan, Ammar, Moon).
//!
//! Two addresses that agree in their first k bits, and not in the next, become two addresses that
//! agree in their first k bits, and not in the next. Bit i of the result is bit i of the address,
//! flipped as AES over the i bits before it says. Who has the key can undo it; who knows some
//! addresses and what they became learns their prefixes.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a key: an AES-128 key and the seed of the padding.
pub const KEY_LEN: usize = 32;

/// Addresses remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 1 << 20;

/// Anonymises addresses under one key.
pub struct CryptoPan {
    cipher: Aes128,
    pad: u128,
    known: HashMap<IpAddr, IpAddr>,
}

impl std::fmt::Debug for CryptoPan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of the key.
        f.debug_struct("CryptoPan").finish_non_exhaustive()
    }
}

impl CryptoPan {
    /// Under `key`.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let (mut cipher_key, mut seed) = ([0; 16], [0; 16]);
        cipher_key.copy_from_slice(&key[..16]);
        seed.copy_from_slice(&key[16..]);
        let cipher = Aes128::new(&cipher_key.into());
        let pad = encrypt(&cipher, u128::from_be_bytes(seed));
        Self { cipher, pad, known: HashMap::new() }
    }

    /// What becomes of the first `len` bits of `bits`; the others are not looked at.
    fn flip(&self, bits: u128, len: u32) -> u128 {
        (0..len).fold(0, |result, at| {
            let own = !u128::MAX.checked_shr(at).unwrap_or(0);
            let top = encrypt(&self.cipher, bits & own | self.pad & !own) >> 127;
            result | (((bits >> (127 - at)) & 1) ^ top) << (127 - at)
        })
    }

    /// What becomes of an address; always the same.
    pub fn anonymise(&mut self, addr: IpAddr) -> IpAddr {
        if let Some(known) = self.known.get(&addr) {
            return *known;
        }
        let result = match addr {
            IpAddr::V4(v4) => {
                let bits = u128::from(v4.to_bits()) << 96;
                Ipv4Addr::from_bits((self.flip(bits, 32) >> 96) as u32).into()
            }
            IpAddr::V6(v6) => Ipv6Addr::from_bits(self.flip(v6.to_bits(), 128)).into(),
        };
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(addr, result);
        result
    }
}

fn encrypt(cipher: &Aes128, block: u128) -> u128 {
    let mut block = Block::from(block.to_be_bytes());
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anonymise(key: [u8; KEY_LEN], addr: &str) -> String {
        CryptoPan::new(&key).anonymise(addr.parse().unwrap()).to_string()
    }

    /// Of the authors' sample trace.
    #[test]
    fn does_what_the_authors_program_does() {
        let key = [
            21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143,
            131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
        ];
        for (addr, expected) in [
            ("128.11.68.132", "135.242.180.132"),
            ("129.118.74.4", "134.136.186.123"),
            ("130.132.252.244", "133.68.164.234"),
        ] {
            assert_eq!(anonymise(key, addr), expected);
        }
    }

    #[test]
    fn keeps_prefixes_and_nothing_more() {
        let key = std::array::from_fn(|index| index as u8 * 7 + 1);
        let mut pan = CryptoPan::new(&key);
        let mut bits = |text: &str| -> u128 {
            match pan.anonymise(text.parse().unwrap()) {
                IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
                IpAddr::V6(v6) => v6.to_bits(),
            }
        };
        for (a, b, common) in [
            ("192.0.2.1", "192.0.2.254", 24),
            ("192.0.2.1", "192.0.3.1", 23),
            ("1.2.3.4", "129.2.3.4", 0),
            ("2001:db8::1", "2001:db8::2", 126),
            ("2001:db8::", "2001:db8:0:1::", 63),
        ] {
            assert_eq!((bits(a) ^ bits(b)).leading_zeros(), common, "{a} {b}");
        }
        assert_eq!(bits("192.0.2.1"), bits("192.0.2.1"));
    }
}
