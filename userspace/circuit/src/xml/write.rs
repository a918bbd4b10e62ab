// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writes elements. Names are ours; text and attribute values are escaped.

use quick_xml::escape::escape;

/// A document being written.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
    open: Vec<String>,
}

impl Writer {
    /// Begins a document.
    pub fn new() -> Self {
        Self { text: r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned(), open: Vec::new() }
    }

    /// Begins an element.
    pub fn begin(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.tag(name, attributes);
        self.text.push('>');
        self.open.push(name.to_owned());
        self
    }

    /// An element of text only.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.leaf_with(name, &[], text)
    }

    /// An element of text only, with attributes.
    pub fn leaf_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> &mut Self {
        self.begin(name, attributes);
        self.text.push_str(&escape(text));
        self.end()
    }

    /// An empty element.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.tag(name, attributes);
        self.text.push_str("/>");
        self
    }

    /// Ends the element begun last.
    pub fn end(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.text.push_str("</");
            self.text.push_str(&name);
            self.text.push('>');
        }
        self
    }

    /// The document, all elements ended.
    pub fn done(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.text
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            self.text.push_str(&escape(*value));
            self.text.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::element::{Limits, parse};

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::new();
        writer.begin("a", &[("k", "\"<&>'")]).leaf("b", "<&>\"'").empty("c", &[]);
        let root = parse(writer.done().as_bytes(), Limits::default()).unwrap();
        assert_eq!(root.attribute("k"), Some("\"<&>'"));
        assert_eq!(root.text_of("b"), Some("<&>\"'"));
        assert_eq!(root.children.len(), 2);
    }
}
