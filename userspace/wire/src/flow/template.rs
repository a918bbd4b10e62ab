// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Templates compiled to a plan: where each field starts, how long it is and how it is read.
//!
//! A template whose fields all have a fixed length gets its offsets once, when it arrives; its
//! records are then views on the datagram and cost no allocation. With a variable-length field
//! (RFC 7011 section 7) the lengths are walked record by record into a scratch buffer.

use super::element::{Element, Kind, V9_SCOPE};
use super::times::TimeFields;
use super::{Limits, Problem};
use crate::cursor::Cursor;
use crate::json;

/// The length that says "this field carries its own length" (RFC 7011 section 3.2).
pub(super) const VARIABLE: u16 = 65535;

/// One field of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What the field is.
    pub element: Element,
    /// Octets on the wire, 65535 for a field that carries its own length.
    pub length: u16,
    /// How its octets are read.
    pub kind: Kind,
    /// Whether the field says what an options record is about.
    pub scope: bool,
    /// `"name":`, ready to be copied into JSON. A name that occurs again gets `.2`, `.3`, …
    pub(super) key: Box<[u8]>,
}

/// A template as its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Set id of the records it describes, 256 or more.
    pub id: u16,
    /// Whether its records are options records, that is metadata of the exporter.
    pub options: bool,
    pub(super) fields: Box<[Field]>,
    /// Where each field lies when no field is of variable length.
    pub(super) spans: Option<Box<[Span]>>,
    /// Octets of a record: all of them, or the least possible one with variable-length fields.
    pub(super) record_len: usize,
    /// Where the fields are that select a sampling interval.
    pub(super) sampling: SamplingFields,
    /// Where the fields are that tell when the flow began and ended.
    pub(super) times: TimeFields,
}

/// Offset and length of a field inside its record, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u16,
    pub(super) len: u16,
}

/// Indices of the fields a record's sampling interval is found by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SamplingFields {
    pub(super) sampler: Option<u16>,
    pub(super) interval: Option<u16>,
    pub(super) ingress: Option<u16>,
}

impl Template {
    /// The fields in wire order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Compiles a list of fields.
    ///
    /// # Errors
    ///
    /// A record without any octets would never end, one of more fields than the limit is refused.
    pub(super) fn compile(
        id: u16,
        options: bool,
        parts: &[(Element, u16, bool)],
        limits: &Limits,
    ) -> Result<Self, Problem> {
        if id < 256 || parts.is_empty() {
            return Err(Problem::BadTemplate);
        }
        if parts.len() > limits.fields_per_template {
            return Err(Problem::TemplateTooLarge);
        }
        let mut fields: Vec<Field> = Vec::with_capacity(parts.len());
        let mut spans = Vec::with_capacity(parts.len());
        let mut fixed = true;
        let mut at = 0usize;
        for &(element, length, scope) in parts {
            let earlier = fields.iter().filter(|field| field.element == element).count();
            let name = match earlier {
                0 => element.name().into_owned(),
                _ => format!("{}.{}", element.name(), earlier + 1),
            };
            let mut key = Vec::with_capacity(name.len() + 3);
            json::string(&mut key, &name);
            key.push(b':');
            fields.push(Field {
                element,
                length,
                kind: element.kind(),
                scope,
                key: key.into_boxed_slice(),
            });
            let len = if length == VARIABLE { 1 } else { length };
            fixed &= length != VARIABLE;
            spans.push(Span { at: u16::try_from(at).map_err(|_| Problem::TemplateTooLarge)?, len });
            at += usize::from(len);
        }
        if at == 0 {
            return Err(Problem::BadTemplate);
        }
        if at > usize::from(u16::MAX) {
            return Err(Problem::TemplateTooLarge);
        }
        let find = |wanted: &[u16]| {
            wanted.iter().find_map(|id| {
                let index = fields.iter().position(|f| f.element == Element::iana(*id))?;
                u16::try_from(index).ok()
            })
        };
        let sampling = SamplingFields {
            sampler: find(&[302, 48]),
            interval: find(&[305, 309, 311, 50, 34]),
            ingress: find(&[10, 252]),
        };
        let times = TimeFields::of(&fields);
        Ok(Self {
            id,
            options,
            fields: fields.into_boxed_slice(),
            spans: fixed.then(|| spans.into_boxed_slice()),
            record_len: at,
            sampling,
            times,
        })
    }

    /// Length of the record at the start of `bytes`, its spans put into `scratch`; `None` when
    /// `bytes` ends inside it. Only for templates with variable-length fields, but right for all.
    pub(super) fn walk(&self, bytes: &[u8], scratch: &mut Vec<Span>) -> Option<usize> {
        scratch.clear();
        let mut cursor = Cursor::new(bytes);
        for field in &self.fields {
            let len = if field.length == VARIABLE {
                match cursor.u8()? {
                    255 => cursor.u16()?,
                    short => u16::from(short),
                }
            } else {
                field.length
            };
            let at = u16::try_from(cursor.position()).ok()?;
            cursor.take(usize::from(len))?;
            scratch.push(Span { at, len });
        }
        Some(cursor.position())
    }
}

/// What a template set said about one template id.
pub(super) enum Announcement {
    /// The id now means this.
    Template(Template),
    /// The id means nothing any more; `None` = all ids of this kind (RFC 7011 section 8.1).
    Withdrawn(Option<u16>),
    /// The id's definition cannot be used.
    Unusable(Problem),
}

/// Reads one template record of an IPFIX or v9 template set; `None` ends the set.
pub(super) fn announcement(
    set: &mut Cursor<'_>,
    version: u16,
    options: bool,
    limits: &Limits,
) -> Option<Announcement> {
    if set.remaining() < 4 {
        return None; // padding
    }
    let id = set.u16()?;
    let (count, scopes) = match (version, options) {
        (9, false) | (_, false) => (usize::from(set.u16()?), 0),
        (9, true) => {
            // RFC 3954 section 6.1 counts octets, four to a field.
            let scopes = usize::from(set.u16()?) / 4;
            (scopes + usize::from(set.u16()?) / 4, scopes)
        }
        (_, true) => {
            let count = usize::from(set.u16()?);
            (count, if count == 0 { 0 } else { usize::from(set.u16()?) })
        }
    };
    if id == 0 && count == 0 {
        return None; // padding
    }
    if count == 0 && version == 9 {
        return Some(Announcement::Unusable(Problem::BadTemplate)); // v9 has no withdrawals
    }
    if count == 0 {
        let all = id == if options { 3 } else { 2 };
        return Some(Announcement::Withdrawn((!all).then_some(id)));
    }
    if count > limits.fields_per_template {
        // Still walk the fields, so that the templates behind this one are found.
        for _ in 0..count {
            part(set, version, false)?;
        }
        return Some(Announcement::Unusable(Problem::TemplateTooLarge));
    }
    let mut parts = Vec::with_capacity(count);
    for index in 0..count {
        let Some(part) = part(set, version, index < scopes) else {
            return Some(Announcement::Unusable(Problem::BadTemplate));
        };
        parts.push(part);
    }
    if options && scopes > count {
        return Some(Announcement::Unusable(Problem::BadTemplate));
    }
    Some(match Template::compile(id, options, &parts, limits) {
        Ok(template) => Announcement::Template(template),
        Err(problem) => Announcement::Unusable(problem),
    })
}

/// One field specifier: element, length, whether it is a scope field.
fn part(set: &mut Cursor<'_>, version: u16, scope: bool) -> Option<(Element, u16, bool)> {
    let raw = set.u16()?;
    let length = set.u16()?;
    let element = if version == 9 {
        // v9 has no enterprise bit; its scope types are numbers of their own.
        Element { pen: if scope { V9_SCOPE } else { 0 }, id: raw }
    } else if raw & 0x8000 != 0 {
        Element { pen: set.u32()?, id: raw & 0x7fff }
    } else {
        Element::iana(raw)
    };
    Some((element, length, scope))
}
