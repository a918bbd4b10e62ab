// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A document as a tree of elements.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Bounds of a document.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes.
    pub bytes: usize,
    /// Elements inside one another.
    pub depth: usize,
    /// Elements and attributes in all.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 32, nodes: 100_000 }
    }
}

/// A document that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Beyond a bound.
    #[error("more than {1} {0}")]
    TooMuch(&'static str, usize),
    /// It has a document type, which could define entities.
    #[error("a document type is not taken")]
    DocType,
    /// An entity that is not one of XML's five.
    #[error("entity `{0}` is not taken")]
    Entity(String),
    /// A prefix that stands for no namespace.
    #[error("prefix `{0}` stands for no namespace")]
    Prefix(String),
    /// No XML.
    #[error("{0}")]
    Syntax(String),
    /// Elements missing or beyond the root.
    #[error("not one root element")]
    Root,
}

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its namespace, empty for none.
    pub space: String,
    /// Its name.
    pub name: String,
    /// Attributes without those that declare namespaces, by local name.
    pub attributes: Vec<(String, String)>,
    /// Its text, that of its children not in it.
    pub text: String,
    /// Its children, in order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of that name, whatever its namespace.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name, without blanks around it.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is nil, as `xsi:nil` says.
    pub fn is_nil(&self) -> bool {
        matches!(self.attribute("nil"), Some("true" | "1"))
    }
}

fn syntax(error: impl std::fmt::Display) -> Bad {
    Bad::Syntax(error.to_string())
}

/// Reads a document.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Element, Bad> {
    if bytes.len() > limits.bytes {
        return Err(Bad::TooMuch("bytes", limits.bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(syntax)?;
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut nodes = 0;
    loop {
        let (space, event) = reader.read_resolved_event().map_err(syntax)?;
        match event {
            Event::Start(start) => {
                let element = begin(&space, &start, &mut nodes, limits.nodes)?;
                if root.is_some() {
                    return Err(Bad::Root);
                }
                if open.len() >= limits.depth {
                    return Err(Bad::TooMuch("elements inside one another", limits.depth));
                }
                open.push(element);
            }
            Event::Empty(start) => {
                let element = begin(&space, &start, &mut nodes, limits.nodes)?;
                end(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or(Bad::Root)?;
                end(element, &mut open, &mut root)?;
            }
            Event::Text(text) => add(&mut open, &text.decode().map_err(syntax)?)?,
            Event::CData(data) => add(&mut open, &data.decode().map_err(syntax)?)?,
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(syntax)?;
                let number = reference.resolve_char_ref().map_err(syntax)?;
                match (number, quick_xml::escape::resolve_xml_entity(&name)) {
                    (Some(character), _) => add(&mut open, character.encode_utf8(&mut [0; 4]))?,
                    (None, Some(known)) => add(&mut open, known)?,
                    (None, None) => return Err(Bad::Entity(name.into_owned())),
                }
            }
            Event::DocType(_) => return Err(Bad::DocType),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if open.is_empty() { root.ok_or(Bad::Root) } else { Err(Bad::Root) }
}

fn begin(
    space: &ResolveResult<'_>,
    start: &BytesStart<'_>,
    nodes: &mut usize,
    most: usize,
) -> Result<Element, Bad> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut count = || {
        *nodes += 1;
        if *nodes > most { Err(Bad::TooMuch("elements and attributes", most)) } else { Ok(()) }
    };
    count()?;
    let mut element = Element {
        space: match space {
            ResolveResult::Bound(space) => text(space.as_ref()),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(prefix) => return Err(Bad::Prefix(text(prefix))),
        },
        name: text(start.local_name().as_ref()),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(syntax)?;
        count()?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(syntax)?;
        element.attributes.push((text(attribute.key.local_name().as_ref()), value.into_owned()));
    }
    Ok(element)
}

fn end(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), Bad> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_some() => return Err(Bad::Root),
        None => *root = Some(element),
    }
    Ok(())
}

fn add(open: &mut [Element], text: &str) -> Result<(), Bad> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(Bad::Root),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Element, Bad> {
        parse(text.as_bytes(), Limits { bytes: 2000, depth: 4, nodes: 12 })
    }

    #[test]
    fn namespaces_text_and_attributes() {
        let root = read(
            "<?xml version='1.0'?><!-- c --><p:a xmlns:p='urn:p' xmlns:i='urn:i'><b xmlns='urn:b' i:nil='1'/>\
             <c k='&lt;v&#33;'>x &amp; <![CDATA[<y>]]>&#x7a;</c></p:a>",
        )
        .unwrap();
        assert_eq!((root.space.as_str(), root.name.as_str()), ("urn:p", "a"));
        let b = root.child("b").unwrap();
        assert!(b.space == "urn:b" && b.is_nil());
        let c = root.child("c").unwrap();
        assert_eq!((c.space.as_str(), c.attribute("k")), ("", Some("<v!")));
        assert_eq!(root.text_of("c"), Some("x & <y>z"));
    }

    proptest::proptest! {
        /// Whatever comes is read or refused.
        #[test]
        fn nothing_breaks_it(parts in proptest::collection::vec(0..16_usize, 0..40)) {
            const PARTS: [&str; 16] = [
                "<a>", "</a>", "<b:c xmlns:b='u'>", "</b:c>", "<d/>", "text", "&amp;", "&#x41;", "&#0;", "&x;",
                "<![CDATA[", "]]>", "<!--", "-->", "<?p", "<e f='",
            ];
            let text: String = parts.iter().map(|part| PARTS[*part]).collect();
            if let Ok(root) = read(&text) {
                proptest::prop_assert!(!root.name.is_empty());
            }
        }
    }

    #[test]
    fn bounds_hold() {
        assert_eq!(read(&"x".repeat(2001)), Err(Bad::TooMuch("bytes", 2000)));
        assert!(read("<a><a><a><a><a/></a></a></a></a>").is_ok());
        assert!(matches!(read("<a><a><a><a><a></a></a></a></a></a>"), Err(Bad::TooMuch(..))));
        let wide = format!("<a>{}</a>", "<b/>".repeat(12));
        assert!(matches!(read(&wide), Err(Bad::TooMuch("elements and attributes", 12))));
    }

    #[test]
    fn no_entities_and_no_odd_ends() {
        let laughs = "<!DOCTYPE a [<!ENTITY l 'lol'>]><a>&l;</a>";
        assert_eq!(read(laughs), Err(Bad::DocType));
        assert_eq!(read("<a>&l;</a>"), Err(Bad::Entity("l".into())));
        assert_eq!(read("<q:a/>"), Err(Bad::Prefix("q".into())));
        for text in ["", "<a>", "<a></b>", "<a/><b/>", "x<a/>", "<a/>x", "</a>", "<a b='1' b='2'/>"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
