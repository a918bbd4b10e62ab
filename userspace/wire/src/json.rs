// SPDX-License-Identifier: Apache-2.0 OR MIT
//! JSON pieces appended to a byte buffer without an intermediate tree.
//!
//! The buffer grows once and is reused by the caller, so writing a record allocates nothing in
//! the steady state.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Appends a decimal number.
pub fn number(out: &mut Vec<u8>, value: u64) {
    // 20 digits hold u64::MAX.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a signed decimal number.
pub fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// Appends a float, or `null` where JSON has no number for it.
pub fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        // Writing into a Vec cannot fail.
        let _ = write!(out, "{value}");
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a quoted, escaped string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends bytes as a quoted string, putting U+FFFD where they are not UTF-8 and leaving out the
/// NUL padding exporters add at the end.
pub fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    out.push(b'"');
    for chunk in bytes[..end].utf8_chunks() {
        escaped(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                hex_digits(out, &[byte]);
            }
            _ => out.push(byte),
        }
    }
}

fn hex_digits(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Appends bytes as a quoted lower-case hex string.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    hex_digits(out, bytes);
    out.push(b'"');
}

/// Appends a quoted MAC address, `00:11:22:33:44:55`.
pub fn mac(out: &mut Vec<u8>, bytes: [u8; 6]) {
    out.push(b'"');
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        hex_digits(out, &[*byte]);
    }
    out.push(b'"');
}

/// Appends a quoted IPv4 address.
pub fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    out.push(b'"');
    for (index, octet) in address.octets().iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        number(out, u64::from(*octet));
    }
    out.push(b'"');
}

/// Appends a quoted IPv6 address in its RFC 5952 form.
pub fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let _ = write!(out, "\"{address}\"");
}

/// Appends a quoted address of either family.
pub fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => ipv4(out, address),
        IpAddr::V6(address) => ipv6(out, address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_decimal_at_both_ends() {
        assert_eq!(written(|out| number(out, 0)), "0");
        assert_eq!(written(|out| number(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| signed(out, i64::MIN)), i64::MIN.to_string());
        assert_eq!(written(|out| float(out, f64::NAN)), "null");
    }

    #[test]
    fn text_survives_what_exporters_put_into_strings() {
        let written = written(|out| text(out, b"Te\"n\\G\x01\xff\n\0\0"));
        let back: String = serde_json::from_str(&written).unwrap();
        assert_eq!(back, "Te\"n\\G\u{1}\u{fffd}\n");
    }

    #[test]
    fn addresses_are_quoted() {
        assert_eq!(written(|out| ipv4(out, Ipv4Addr::new(192, 0, 2, 1))), "\"192.0.2.1\"");
        assert_eq!(written(|out| mac(out, [0, 1, 2, 0xa, 0xb, 0xff])), "\"00:01:02:0a:0b:ff\"");
    }
}
