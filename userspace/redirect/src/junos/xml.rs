// SPDX-License-Identifier: Apache-2.0 OR MIT
//! XML as a tree, as much of it as replies of a router need.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements within elements.
const DEPTH: usize = 64;

/// An element; names are without their prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) text: String,
    /// The attribute `message-id`.
    pub(crate) message_id: Option<String>,
    /// The attribute `inactive`: JunOS lists what is switched off, too.
    pub(crate) inactive: bool,
    pub(crate) children: Vec<Node>,
}

impl Node {
    fn begin(start: &BytesStart<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut node = Self { name: text(start.local_name().as_ref()), ..Self::default() };
        for attribute in start.attributes().flatten() {
            match attribute.key.as_ref() {
                b"message-id" => node.message_id = Some(text(&attribute.value)),
                b"inactive" => node.inactive = true,
                _ => {}
            }
        }
        node
    }

    /// Neither it nor anything in it is switched off.
    pub(crate) fn is_active(&self) -> bool {
        !self.inactive && self.children.iter().all(Self::is_active)
    }

    /// Children of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element that lies along `path`, the first where there are several.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.children.iter().find(|one| one.name == *name))
    }

    /// Its text, the first where there are several.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.find(path).map(|node| node.text.as_str())
    }
}

/// Reads a document; the root is the only child of what is returned.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().trim_text(true);
    let mut stack = vec![Node::default()];
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                if stack.len() > DEPTH {
                    return Err(format!("more than {DEPTH} elements within each other"));
                }
                stack.push(Node::begin(&start));
            }
            Event::Empty(start) => {
                let node = Node::begin(&start);
                stack.last_mut().ok_or("an element outside")?.children.push(node);
            }
            Event::End(_) => {
                let node = stack.pop().ok_or("an end without a beginning")?;
                stack.last_mut().ok_or("an end too many")?.children.push(node);
            }
            Event::Text(bytes) => {
                let text = bytes.decode().map_err(|error| error.to_string())?;
                stack.last_mut().ok_or("text outside")?.text.push_str(&text);
            }
            Event::Eof => break,
            // Names, numbers and addresses hold no entities; words of an error may lose some.
            _ => {}
        }
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err("it ends in the middle".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_tree() {
        let text = "<nc:a x='1' message-id='7'><b> one </b><b/><c><d>2</d></c></nc:a>";
        let root = parse(text).unwrap();
        let a = root.find(&["a"]).unwrap();
        assert!(a.message_id.as_deref() == Some("7") && a.is_active());
        let off = parse(&text.replace("<d>", "<d inactive=\"inactive\">")).unwrap();
        assert!(!off.is_active() && off.children[0].children[0].is_active());
        assert_eq!(a.all("b").count(), 2);
        assert_eq!((a.text_at(&["b"]), a.text_at(&["c", "d"])), (Some("one"), Some("2")));
        assert_eq!(a.text_at(&["c", "x"]), None);
        for bad in ["<a>", "<a></b>", &"<a>".repeat(100)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
