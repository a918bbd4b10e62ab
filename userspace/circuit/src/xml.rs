// SPDX-License-Identifier: Apache-2.0 OR MIT
//! XML in and out, as far as SOAP needs it, with bounds.
//!
//! - [`element`]: reads a document into a tree. No document type, so no entities but the five of XML
//!   and characters by number; bounds on bytes, depth and elements.
//! - [`mod@write`]: writes elements, escaped.

pub mod element;
pub mod write;
