// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One JSON object per line, appended to a buffer field by field.

use std::{
    io::Write,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use telesteer_wire::flow::Times;
use telesteer_wire::json;

/// Time since the epoch.
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A line being written; [`Line::end`] closes it.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// Starts the line every kind of output shares: type, instance, time (seconds, six decimals).
    pub fn begin(out: &'a mut Vec<u8>, kind: &str, instance: u64, ts: Duration) -> Self {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        let line = Self { out }.number("instance", instance);
        // Writing into a Vec cannot fail.
        let _ = write!(line.out, ",\"ts\":{}.{:06}", ts.as_secs(), ts.subsec_micros());
        line
    }

    /// Goes on with a line whose beginning was written before, by [`Line::begin`] without
    /// [`Line::end`].
    pub fn resume(out: &'a mut Vec<u8>, beginning: &[u8]) -> Self {
        out.extend_from_slice(beginning);
        Self { out }
    }

    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A number.
    pub fn number(mut self, key: &str, value: u64) -> Self {
        self.key(key);
        json::number(self.out, value);
        self
    }

    /// A number or `null`.
    pub fn optional(mut self, key: &str, value: Option<u64>) -> Self {
        self.key(key);
        match value {
            Some(value) => json::number(self.out, value),
            None => self.out.extend_from_slice(b"null"),
        }
        self
    }

    /// When a flow began and ended, if its record tells.
    pub fn times(self, times: Option<Times>) -> Self {
        match times {
            Some(Times { start_ns, end_ns }) => {
                self.number("start_ns", start_ns).number("end_ns", end_ns)
            }
            None => self,
        }
    }

    /// A string.
    pub fn string(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        json::string(self.out, value);
        self
    }

    /// An address.
    pub fn ip(mut self, key: &str, value: IpAddr) -> Self {
        self.key(key);
        json::ip(self.out, value);
        self
    }

    /// Bytes as hex.
    pub fn hex(mut self, key: &str, value: &[u8]) -> Self {
        self.key(key);
        json::hex(self.out, value);
        self
    }

    /// 64 bits as 16 hex digits.
    pub fn hex64(mut self, key: &str, value: u64) -> Self {
        self.key(key);
        json::hex(self.out, &value.to_be_bytes());
        self
    }

    /// A value that is JSON already, or whatever `write` appends.
    pub fn json(mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.key(key);
        write(self.out);
        self
    }

    /// Closes the line.
    pub fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

/// FNV-1a over 64 bits.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object() {
        let mut out = Vec::new();
        Line::begin(&mut out, "test", 3, Duration::new(1_700_000_000, 42_000))
            .string("text", "a\"b\n")
            .optional("none", None)
            .ip("exporter", "2001:db8::1".parse().unwrap())
            .hex64("fnv", 0xab)
            .json("inner", |out| out.extend_from_slice(b"[1]"))
            .end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"type\":\"test\",\"instance\":3,\"ts\":1700000000.000042,\"text\":\"a\\\"b\\n\",\
             \"none\":null,\"exporter\":\"2001:db8::1\",\"fnv\":\"00000000000000ab\",\"inner\":[1]}\n"
        );
    }

    /// Test vectors of the FNV reference.
    #[test]
    fn fnv_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
