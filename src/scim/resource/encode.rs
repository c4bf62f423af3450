//! Encoding of a resource: serde writes its content as JSON, then [`JsonScanner`] reads that text
//! once. It notes where each value begins and ends, and cuts out the members that are not part of
//! the resource: unknown attributes, `null` and empty arrays.

use memchr::memchr2;
use serde::Serialize;
use serde::ser::Error as _;

use crate::scim::resource::saturating_u32;
use crate::scim::resource::shape::{Node, ValueKind};
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::{AttributeId, AttributeType, ResourceType, SerializationError};

/// Encoded resource, before its shape is shared with other resources.
pub(in crate::scim) struct EncodedResource {
    pub(in crate::scim) json: Box<str>,
    pub(in crate::scim) nodes: Vec<Node>,
    /// Byte offset in `json` at which the value of each node begins.
    pub(in crate::scim) starts: Vec<u32>,
}

/// Initial buffer size. Most resources are smaller.
const INITIAL_JSON_BYTES: usize = 2048;

/// Initial number of nodes. Most resources have fewer.
const INITIAL_NODES: usize = 96;

/// Encodes `content` as a resource of this type.
///
/// # Errors
/// Returns an error if the content cannot be written as JSON, or is not an object.
pub(in crate::scim) fn encode(
    resource_type: &ResourceType,
    content: &impl Serialize,
) -> Result<EncodedResource, SerializationError> {
    let json = to_json_bytes(content)?;
    let text = std::str::from_utf8(&json).map_err(serde_json::Error::custom)?;
    if !text.starts_with('{') {
        return Err(serde_json::Error::custom("expected a JSON object").into());
    }
    let mut scanner = JsonScanner::new(resource_type, text);
    scanner.scan_object(ROOT_ATTRIBUTE);
    Ok(scanner.finish())
}

/// Returns the content as JSON without whitespace.
///
/// # Errors
/// Returns an error if the content cannot be written as JSON.
pub(in crate::scim) fn to_json_bytes(
    content: &impl Serialize,
) -> Result<Vec<u8>, SerializationError> {
    let mut json = Vec::with_capacity(INITIAL_JSON_BYTES);
    serde_json::to_writer(&mut json, content)?;
    Ok(json)
}

/// Scanner of valid JSON without whitespace.
struct JsonScanner<'t> {
    resource_type: &'t ResourceType,
    text: &'t str,
    /// Byte offset in `text` of the next character.
    position: usize,
    /// Output before `uncopied_from`. It stays empty as long as no member is cut out.
    output: String,
    /// Byte offset in `text` of the part that belongs to the output but is not copied yet.
    uncopied_from: usize,
    /// Nodes of the output. `bytes_to_next` holds the end offset of the value until `finish`.
    nodes: Vec<Node>,
    starts: Vec<u32>,
}

impl<'t> JsonScanner<'t> {
    fn new(resource_type: &'t ResourceType, text: &'t str) -> Self {
        Self {
            resource_type,
            text,
            position: 0,
            output: String::new(),
            uncopied_from: 0,
            nodes: Vec::with_capacity(INITIAL_NODES),
            starts: Vec::with_capacity(INITIAL_NODES),
        }
    }

    /// Returns the next byte without consuming it.
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn scan_object(&mut self, holder: AttributeId) {
        let node_index = self.open(holder, ValueKind::Object);
        let mut has_members = false;
        let mut next_index = 0;
        while self.peek() == Some(b'"') {
            let member_start = self.position;
            let (name, _) = self.scan_string();
            self.skip_separator(b':');
            match self.resource_type.sub_attribute_from(holder, name, &mut next_index) {
                Some(id) if !self.is_at_unassigned() => {
                    self.scan_value(id);
                    has_members = true;
                }
                _ => {
                    self.skip_value();
                    self.cut_member(member_start, has_members);
                }
            }
            self.skip_separator(b',');
        }
        self.close(node_index);
    }

    /// Reports whether the next value is `null` or an empty array, which RFC 7643 §2.5 declares
    /// equivalent to an unassigned attribute.
    fn is_at_unassigned(&self) -> bool {
        self.rest().starts_with("null") || self.rest().starts_with("[]")
    }

    fn scan_array(&mut self, id: AttributeId) {
        let node_index = self.open(id, ValueKind::Array);
        while let Some(next) = self.peek()
            && next != b']'
        {
            self.scan_value(id);
            self.skip_separator(b',');
        }
        self.close(node_index);
    }

    fn scan_value(&mut self, id: AttributeId) {
        let start = self.position;
        let kind = match self.peek() {
            Some(b'{') => return self.scan_object(id),
            Some(b'[') => return self.scan_array(id),
            Some(b'"') => {
                let (_, is_escaped) = self.scan_string();
                if is_escaped {
                    ValueKind::EscapedText
                } else if self.resource_type.get(id).attribute_type == AttributeType::DateTime {
                    ValueKind::DateTime
                } else {
                    ValueKind::Text
                }
            }
            first => {
                self.skip_word();
                match first {
                    // `null` in an array stays in the text, but is not a value.
                    Some(b'n') | None => return,
                    Some(b't' | b'f') => ValueKind::Boolean,
                    Some(_) => ValueKind::Number,
                }
            }
        };
        self.push_node(id, kind, start);
        self.end_node(self.nodes.len() - 1);
    }

    /// Consumes a string, and returns the text between its quotes and whether it has escapes.
    fn scan_string(&mut self) -> (&'t str, bool) {
        let bytes = self.text.as_bytes();
        let start = self.position + 1;
        let mut end = start;
        let mut is_escaped = false;
        while let Some(offset) = memchr2(b'"', b'\\', bytes.get(end..).unwrap_or_default()) {
            end += offset;
            if bytes.get(end) == Some(&b'"') {
                break;
            }
            is_escaped = true;
            end += 2;
        }
        self.position = end + 1;
        (self.text.get(start..end).unwrap_or_default(), is_escaped)
    }

    /// Consumes a number, `true`, `false` or `null`.
    fn skip_word(&mut self) {
        match self.rest().find([',', ']', '}']) {
            Some(length) => self.position += length,
            None => self.position = self.text.len(),
        }
    }

    /// Consumes a colon or comma, if it is the next character.
    fn skip_separator(&mut self, separator: u8) {
        if self.peek() == Some(separator) {
            self.position += 1;
        }
    }

    /// Consumes a value without adding nodes.
    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = self.peek() {
            match next {
                b'"' => drop(self.scan_string()),
                b'{' | b'[' => {
                    depth += 1;
                    self.position += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.position += 1;
                }
                b'}' | b']' | b',' if depth == 0 => return,
                _ => self.position += 1,
            }
        }
    }

    /// Cuts out the member that begins at `start` and ends at the current position, together with
    /// the comma before it, or with the comma after it if no member is before it.
    fn cut_member(&mut self, start: usize, has_earlier_member: bool) {
        let mut cut_start = start;
        let mut cut_end = self.position;
        if has_earlier_member {
            cut_start -= 1;
        } else if self.peek() == Some(b',') {
            cut_end += 1;
        }
        let copied = self.text.get(self.uncopied_from..cut_start).unwrap_or_default();
        self.output.push_str(copied);
        self.uncopied_from = cut_end;
    }

    /// Consumes the opening bracket of an object or array, and returns the index of its node.
    fn open(&mut self, id: AttributeId, kind: ValueKind) -> usize {
        let node_index = self.nodes.len();
        self.push_node(id, kind, self.position);
        self.position += 1;
        node_index
    }

    /// Consumes the closing bracket of an object or array.
    fn close(&mut self, node_index: usize) {
        self.position += 1;
        self.end_node(node_index);
    }

    fn push_node(&mut self, attribute: AttributeId, kind: ValueKind, start: usize) {
        self.starts.push(saturating_u32(self.output_offset(start)));
        self.nodes.push(Node { next_sibling: 0, bytes_to_next: 0, attribute, kind });
    }

    /// Ends the value of a node at the current position.
    fn end_node(&mut self, node_index: usize) {
        let next_sibling = saturating_u32(self.nodes.len());
        let end = saturating_u32(self.output_offset(self.position));
        if let Some(node) = self.nodes.get_mut(node_index) {
            node.next_sibling = next_sibling;
            node.bytes_to_next = end;
        }
    }

    /// Returns the offset in the output of an offset in the text.
    fn output_offset(&self, position: usize) -> usize {
        self.output.len() + position.saturating_sub(self.uncopied_from)
    }

    fn finish(self) -> EncodedResource {
        let Self { text, output: mut json, uncopied_from, mut nodes, starts, .. } = self;
        let rest = text.get(uncopied_from..).unwrap_or_default();
        let json: Box<str> = if json.is_empty() {
            rest.into()
        } else {
            json.push_str(rest);
            json.into()
        };
        let length = saturating_u32(json.len());
        for node in &mut nodes {
            let end = node.bytes_to_next;
            let next_start = starts.get(node.next_sibling as usize).copied().unwrap_or(length);
            node.bytes_to_next = next_start.saturating_sub(end);
        }
        EncodedResource { json, nodes, starts }
    }
}
