// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Templates and options as plain data, so that another process can go on where this one stopped.

use serde::{Deserialize, Serialize};

use super::domain::Domain;
use super::element::Element;
use super::options::Options;
use super::template::Template;
use super::{Limits, Problem};

/// Everything needed to decode an observation domain's next datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainState {
    /// Observation domain or source id.
    pub domain: u32,
    /// At most one for v9 and one for IPFIX.
    pub streams: Vec<StreamState>,
}

/// The state of one protocol version in one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// 9 or 10.
    pub version: u16,
    /// Templates by rising id.
    pub templates: Vec<TemplateState>,
    /// What options records told.
    #[serde(default)]
    pub options: Options,
    /// Sequence number expected next.
    #[serde(default)]
    pub sequence_next: Option<u32>,
}

/// A template as announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateState {
    /// Set id.
    pub id: u16,
    /// Whether it is an options template.
    pub options: bool,
    /// The fields in wire order.
    pub fields: Vec<FieldState>,
}

/// A field specifier as announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldState {
    /// Enterprise number, 0 for IANA's, 4294967295 for v9 scopes.
    pub pen: u32,
    /// Element number.
    pub id: u16,
    /// Octets, 65535 = variable.
    pub len: u16,
    /// Whether it is a scope field.
    #[serde(default)]
    pub scope: bool,
}

impl StreamState {
    pub(super) fn of(version: u16, domain: &Domain) -> Self {
        let mut templates: Vec<TemplateState> = domain.templates().map(TemplateState::of).collect();
        templates.sort_by_key(|template| template.id);
        Self {
            version,
            templates,
            options: domain.options.clone(),
            sequence_next: domain.sequence_next,
        }
    }
}

impl TemplateState {
    fn of(template: &Template) -> Self {
        let fields = template
            .fields
            .iter()
            .map(|field| FieldState {
                pen: field.element.pen,
                id: field.element.id,
                len: field.length,
                scope: field.scope,
            })
            .collect();
        Self { id: template.id, options: template.options, fields }
    }

    pub(super) fn compile(&self, limits: &Limits) -> Result<Template, Problem> {
        let parts: Vec<(Element, u16, bool)> = self
            .fields
            .iter()
            .take(limits.fields_per_template + 1)
            .map(|field| (Element { pen: field.pen, id: field.id }, field.len, field.scope))
            .collect();
        Template::compile(self.id, self.options, &parts, limits)
    }
}
