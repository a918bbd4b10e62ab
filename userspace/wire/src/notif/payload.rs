// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Payloads as JSON values: JSON itself, CBOR (RFC 9254) converted, XML as a string.

use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

/// Nesting beyond which CBOR is refused; `serde_json` stops at 128 by itself.
const CBOR_DEPTH_MAX: usize = 64;

/// The media type of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `application/yang-data+json`.
    Json,
    /// `application/yang-data+xml`.
    Xml,
    /// `application/yang-data+cbor`.
    Cbor,
    /// An unassigned value, or one of the private space (S flag).
    Unknown {
        /// The four bits.
        value: u8,
        /// Whether they are the publisher's own.
        private: bool,
    },
}

/// A payload as far as it could be understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A JSON value; XML is one string.
    Parsed(Value),
    /// Not what its encoding says; the octets are to be kept. The text says why.
    Raw(String),
}

impl Encoding {
    pub(super) fn of(value: u8, private: bool) -> Self {
        match (value, private) {
            (1, false) => Self::Json,
            (2, false) => Self::Xml,
            (3, false) => Self::Cbor,
            _ => Self::Unknown { value, private },
        }
    }

    /// The name in output lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Cbor => "cbor",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Reads a payload of this encoding.
    pub fn parse(self, payload: &[u8]) -> Payload {
        match self {
            Self::Json => match serde_json::from_slice(payload) {
                Ok(value) => Payload::Parsed(value),
                Err(error) => Payload::Raw(format!("not JSON: {error}")),
            },
            Self::Xml => match std::str::from_utf8(payload) {
                Ok(text) => Payload::Parsed(Value::String(text.to_owned())),
                Err(error) => Payload::Raw(format!("not UTF-8: {error}")),
            },
            Self::Cbor => cbor(payload),
            Self::Unknown { value, private } => {
                Payload::Raw(format!("media type {value}, private {private}"))
            }
        }
    }
}

fn cbor(payload: &[u8]) -> Payload {
    let mut rest = payload;
    let read = ciborium::de::from_reader_with_recursion_limit(&mut rest, CBOR_DEPTH_MAX);
    match read {
        Ok(_) if !rest.is_empty() => Payload::Raw(format!("{} octets after CBOR", rest.len())),
        Ok(value) => Payload::Parsed(json(value)),
        Err(error) => Payload::Raw(format!("not CBOR: {error}")),
    }
}

/// CBOR as JSON: octets become hex, tags are dropped, keys become text (YANG SIDs their number).
fn json(value: Cbor) -> Value {
    match value {
        Cbor::Integer(number) => {
            let number = i128::from(number);
            match (u64::try_from(number), i64::try_from(number)) {
                (Ok(number), _) => Value::from(number),
                (_, Ok(number)) => Value::from(number),
                _ => Value::from(number.to_string()),
            }
        }
        Cbor::Bytes(bytes) => {
            Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Cbor::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bool(truth) => Value::Bool(truth),
        Cbor::Tag(_, inner) => json(*inner),
        Cbor::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Cbor::Map(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let key = match json(key) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, json(value))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}
