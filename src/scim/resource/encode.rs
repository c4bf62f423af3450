//! From content to a rendered resource: it is written as JSON at once, and then gone through once to note where its
//! values are and to leave out what is not part of a resource.

use memchr::memchr2;
use serde::Serialize;

use crate::scim::resource::shape::{Node, Shape};
use crate::scim::schema::resource_type::RESOURCE;
use crate::scim::{AttributeId, AttributeType, ResourceType, Unwritable};

/// A resource of which it is not known yet who else has its layout.
pub(in crate::scim) struct Rendered {
    pub(in crate::scim) json: Box<str>,
    pub(in crate::scim) nodes: Vec<Node>,
    /// Where each value begins.
    pub(in crate::scim) starts: Vec<u32>,
}

/// More room than most resources need.
const USUAL_LENGTH: usize = 2048;
const USUAL_NODES: usize = 96;

/// Renders `content` as a resource of this type.
///
/// # Errors
/// When it cannot be written as JSON, or is no object.
pub(in crate::scim) fn render(kind: &ResourceType, content: &impl Serialize) -> Result<Rendered, Unwritable> {
    let text = written(content)?;
    let text = std::str::from_utf8(&text).map_err(<serde_json::Error as serde::ser::Error>::custom)?;
    if !text.starts_with('{') {
        return Err(<serde_json::Error as serde::ser::Error>::custom("it is no object").into());
    }
    let (nodes, starts) = (Vec::with_capacity(USUAL_NODES), Vec::with_capacity(USUAL_NODES));
    let mut reader = Reader { kind, text, at: 0, json: String::new(), from: 0, nodes, starts };
    reader.object(RESOURCE);
    Ok(reader.finish())
}

/// Content in JSON.
///
/// # Errors
/// When it cannot be written.
pub(in crate::scim) fn written(content: &impl Serialize) -> Result<Vec<u8>, Unwritable> {
    let mut text = Vec::with_capacity(USUAL_LENGTH);
    serde_json::to_writer(&mut text, content)?;
    Ok(text)
}

/// Goes through JSON that has no blanks.
struct Reader<'t> {
    kind: &'t ResourceType,
    text: &'t str,
    /// It is read up to here.
    at: usize,
    /// What is kept of the text before `from`.
    json: String,
    /// From here on nothing was left out yet.
    from: usize,
    /// The `tail` of a node is where it ends, until all are there.
    nodes: Vec<Node>,
    starts: Vec<u32>,
}

impl<'t> Reader<'t> {
    /// The next character, if there is one.
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn object(&mut self, holder: AttributeId) {
        let place = self.open(holder, Shape::Object);
        let (mut has_members, mut near) = (false, 0);
        while self.next() == Some(b'"') {
            let start = self.at;
            let (name, _) = self.string();
            // The colon.
            self.at += 1;
            match self.kind.sub_attribute_near(holder, name, &mut near) {
                // "Unassigned attributes, null, and the empty array are equivalent" (RFC 7643 §2.5).
                Some(id) if !self.rest().starts_with("null") && !self.rest().starts_with("[]") => {
                    self.value(id);
                    has_members = true;
                }
                _ => {
                    self.skip();
                    self.leave_out(start, has_members);
                }
            }
            self.comma();
        }
        self.close(place);
    }

    fn array(&mut self, id: AttributeId) {
        let place = self.open(id, Shape::Array);
        while self.next().is_some_and(|next| next != b']') {
            self.value(id);
            self.comma();
        }
        self.close(place);
    }

    fn value(&mut self, id: AttributeId) {
        let start = self.at;
        let shape = match self.next() {
            Some(b'{') => return self.object(id),
            Some(b'[') => return self.array(id),
            Some(b'"') => {
                let (_, is_escaped) = self.string();
                let is_date_time = self.kind.get(id).kind == AttributeType::DateTime;
                if is_escaped {
                    Shape::Escaped
                } else if is_date_time {
                    Shape::DateTime
                } else {
                    Shape::Text
                }
            }
            first => {
                self.word();
                match first {
                    // Not a value: nothing finds it.
                    Some(b'n') | None => return,
                    Some(b't' | b'f') => Shape::Boolean,
                    Some(_) => Shape::Number,
                }
            }
        };
        self.push(id, shape, start);
        self.end(self.nodes.len() - 1);
    }

    /// Reads a string, and tells what is between its quotes and whether there are escapes.
    fn string(&mut self) -> (&'t str, bool) {
        let start = self.at + 1;
        let (mut end, mut is_escaped) = (start, false);
        let rest = |from: usize| self.text.as_bytes().get(from..).unwrap_or_default();
        while let Some(found) = memchr2(b'"', b'\\', rest(end)) {
            end += found;
            if rest(end).first() == Some(&b'"') {
                break;
            }
            is_escaped = true;
            end += 2;
        }
        self.at = end + 1;
        (self.text.get(start..end).unwrap_or_default(), is_escaped)
    }

    /// Reads a number, `true`, `false` or `null`.
    fn word(&mut self) {
        let end = self.rest().find([',', ']', '}']);
        self.at = end.map_or(self.text.len(), |end| self.at + end);
    }

    fn comma(&mut self) {
        if self.next() == Some(b',') {
            self.at += 1;
        }
    }

    /// Reads a value without noting anything.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = self.next() {
            match next {
                b'"' => drop(self.string()),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => return,
                _ => self.at += 1,
            }
        }
    }

    /// Leaves out the member that begins at `start` and has just been read, with one of the commas beside it.
    fn leave_out(&mut self, start: usize, has_earlier: bool) {
        let (until, from) = match (has_earlier, self.next()) {
            (true, _) => (start - 1, self.at),
            (false, Some(b',')) => (start, self.at + 1),
            (false, _) => (start, self.at),
        };
        self.json.push_str(self.text.get(self.from..until).unwrap_or_default());
        self.from = from;
    }

    fn open(&mut self, id: AttributeId, shape: Shape) -> usize {
        let place = self.nodes.len();
        self.push(id, shape, self.at);
        self.at += 1;
        place
    }

    fn close(&mut self, place: usize) {
        self.at += 1;
        self.end(place);
    }

    fn push(&mut self, attribute: AttributeId, shape: Shape, start: usize) {
        self.starts.push(narrow(self.kept(start)));
        self.nodes.push(Node { after: 0, tail: 0, attribute, shape });
    }

    /// The value at this place ends here.
    fn end(&mut self, place: usize) {
        let (after, end) = (narrow(self.nodes.len()), narrow(self.kept(self.at)));
        if let Some(node) = self.nodes.get_mut(place) {
            (node.after, node.tail) = (after, end);
        }
    }

    /// Where this is in what is kept.
    fn kept(&self, at: usize) -> usize {
        self.json.len() + at.saturating_sub(self.from)
    }

    fn finish(self) -> Rendered {
        let Self { text, mut json, from, mut nodes, starts, .. } = self;
        let rest = text.get(from..).unwrap_or_default();
        let json: Box<str> = if json.is_empty() {
            rest.into()
        } else {
            json.push_str(rest);
            json.into()
        };
        let length = narrow(json.len());
        for node in &mut nodes {
            let next = starts.get(node.after as usize).copied().unwrap_or(length);
            node.tail = next.saturating_sub(node.tail);
        }
        Rendered { json, nodes, starts }
    }
}

/// No resource comes near the limit; one that did would be read as empty beyond it.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
