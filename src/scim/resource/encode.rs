//! Encoding of a resource: [`ResourceWriter`] writes JSON and notes in the same pass where each value
//! begins and ends. Members that are not part of the resource are cut out: unknown attributes,
//! `null` and empty arrays.

use std::io;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

use crate::scim::resource::saturating_u32;
use crate::scim::resource::shape::{Node, ValueKind};
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::{AttributeId, AttributeType, ResourceType, SerializationError};

/// Encoded resource, before its shape is shared with other resources.
pub(in crate::scim) struct EncodedResource<'t> {
    pub(in crate::scim) resource_type: &'t Arc<ResourceType>,
    pub(in crate::scim) json: Box<str>,
    pub(in crate::scim) nodes: Vec<Node>,
    /// Byte offset in `json` at which the value of each node begins.
    pub(in crate::scim) starts: Vec<u32>,
}

/// Initial buffer size. Most resources are smaller.
const INITIAL_JSON_BYTES: usize = 2048;

/// Initial number of nodes. Most resources have fewer.
const INITIAL_NODES: usize = 96;

/// Maximum depth of most resources: the resource, an extension or array, and an object in it.
const INITIAL_DEPTH: usize = 4;

/// Writer of one resource. `serde_json` calls it as the [`Formatter`] of a serializer; its own
/// output goes nowhere.
pub(in crate::scim) struct ResourceWriter<'t> {
    resource_type: &'t Arc<ResourceType>,
    /// JSON without whitespace, with the members that are cut out at the end.
    text: Vec<u8>,
    /// Parts of `text` that do not belong to the resource, in ascending order.
    cuts: Vec<Range<usize>>,
    /// Number of bytes in `cuts`.
    cut_bytes: usize,
    /// Nodes of the output. `bytes_to_next` holds the end offset of the value until `finish`.
    nodes: Vec<Node>,
    /// Byte offset in the output at which the value of each node begins.
    starts: Vec<u32>,
    /// Objects and arrays that are not closed, the outermost first.
    open: Vec<Container>,
    /// Attribute of the next value; `None` for a value without a node.
    attribute: Option<AttributeId>,
    string: StringState,
}

/// Object or array that is not closed.
struct Container {
    /// Attribute of the object or array. It is also the attribute of the elements of an array.
    attribute: Option<AttributeId>,
    node_index: usize,
    /// Index of the sub-attribute that the next member probably has.
    next_sub_attribute: usize,
    /// True if a member of the object belongs to the resource.
    has_members: bool,
    member: Member,
}

/// Member of an object that is being written.
#[derive(Clone, Copy, Default)]
struct Member {
    /// Byte offset in the text of the comma before the member, or of the member itself if the comma
    /// is cut out or not there.
    start: usize,
    /// Byte offset in the text of the value.
    value_start: usize,
}

/// State of the string that is being written.
#[derive(Default)]
struct StringState {
    /// Byte offset in the text of the opening quote.
    start: usize,
    is_escaped: bool,
    /// True if the string is the name of a member. Numbers and booleans may be names, too.
    is_name: bool,
}

impl<'t> ResourceWriter<'t> {
    pub(in crate::scim) fn new(resource_type: &'t Arc<ResourceType>) -> Self {
        Self {
            resource_type,
            text: Vec::with_capacity(INITIAL_JSON_BYTES),
            cuts: Vec::new(),
            cut_bytes: 0,
            nodes: Vec::with_capacity(INITIAL_NODES),
            starts: Vec::with_capacity(INITIAL_NODES),
            open: Vec::with_capacity(INITIAL_DEPTH),
            attribute: Some(ROOT_ATTRIBUTE),
            string: StringState::default(),
        }
    }

    /// Writes the members of `content`, after those that are already written.
    ///
    /// # Errors
    /// Returns an error if the content cannot be written as JSON, or is not an object.
    pub(in crate::scim) fn write(
        &mut self,
        content: &impl Serialize,
    ) -> Result<(), SerializationError> {
        content.serialize(&mut serde_json::Serializer::with_formatter(io::sink(), &mut *self))?;
        if self.text.first() != Some(&b'{') {
            return Err(serde_json::Error::custom("expected a JSON object").into());
        }
        Ok(())
    }

    /// Returns everything that was written, with the members that are not part of the resource.
    pub(in crate::scim) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Releases the memory that is not used.
    pub(in crate::scim) fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.nodes.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// Returns the offset in the output of the end of the text.
    fn output_offset(&self) -> usize {
        self.text.len() - self.cut_bytes
    }

    /// Begins an object or array.
    fn open(&mut self, kind: ValueKind, bracket: u8) {
        let node_index = self.nodes.len();
        if let Some(attribute) = self.attribute {
            self.push_node(Node { next_sibling: 0, bytes_to_next: 0, attribute, kind });
        }
        self.text.push(bracket);
        self.open.push(Container {
            attribute: self.attribute,
            node_index,
            next_sub_attribute: 0,
            has_members: false,
            member: Member::default(),
        });
    }

    /// Opens the resource again, after its members were written.
    fn reopen(&mut self) {
        self.text.pop();
        self.open.push(Container {
            attribute: self.attribute,
            node_index: 0,
            next_sub_attribute: 0,
            has_members: self.nodes.len() > 1,
            member: Member::default(),
        });
    }

    /// Ends the innermost object or array.
    fn close(&mut self, bracket: u8) {
        self.text.push(bracket);
        let Some(closed) = self.open.pop() else { return };
        self.attribute = closed.attribute;
        let next_sibling = saturating_u32(self.nodes.len());
        let end = saturating_u32(self.output_offset());
        if closed.attribute.is_some()
            && let Some(node) = self.nodes.get_mut(closed.node_index)
        {
            node.next_sibling = next_sibling;
            node.bytes_to_next = end;
        }
    }

    /// Adds a node whose value begins here.
    fn push_node(&mut self, node: Node) {
        self.starts.push(saturating_u32(self.output_offset()));
        self.nodes.push(node);
    }

    /// Adds the node of a value that is not an object or array. It begins at `start` in the text
    /// and ends here.
    fn push_value(&mut self, kind: ValueKind, start: usize) {
        let Some(attribute) = self.attribute else { return };
        self.starts.push(saturating_u32(start - self.cut_bytes));
        self.nodes.push(Node {
            next_sibling: saturating_u32(self.nodes.len() + 1),
            bytes_to_next: saturating_u32(self.output_offset()),
            attribute,
            kind,
        });
    }

    /// Writes a value that is not a string, object or array.
    fn write_scalar(
        &mut self,
        kind: ValueKind,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = self.text.len();
        write(&mut self.text)?;
        if !self.string.is_name {
            self.push_value(kind, start);
        }
        Ok(())
    }

    fn begin_member(&mut self) {
        let mut start = self.text.len();
        let Some(object) = self.open.last_mut() else { return };
        if self.text.last() != Some(&b'{') {
            self.text.push(b',');
            // The comma after a cut is cut out, too, if no member is before it.
            if !object.has_members
                && let Some(cut) = self.cuts.last_mut()
                && cut.end == start
            {
                cut.end += 1;
                self.cut_bytes += 1;
                start += 1;
            }
        }
        object.member.start = start;
        self.string.is_name = true;
    }

    fn end_member_name(&mut self) {
        self.string.is_name = false;
        let Some(object) = self.open.last_mut() else { return };
        let quoted = self.text.get(self.string.start..).unwrap_or_default();
        let name = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        self.attribute = match object.attribute {
            Some(holder) => {
                self.resource_type.sub_attribute_from(holder, name, &mut object.next_sub_attribute)
            }
            None => None,
        };
    }

    fn begin_member_value(&mut self) {
        self.text.push(b':');
        if let Some(object) = self.open.last_mut() {
            object.member.value_start = self.text.len();
        }
    }

    /// Cuts the member out if it is not part of the resource. RFC 7643 §2.5 declares `null` and an
    /// empty array equivalent to an unassigned attribute.
    fn end_member(&mut self) {
        let Some(object) = self.open.last_mut() else { return };
        // A member of an object without a node is cut out together with the object.
        if object.attribute.is_none() {
            return;
        }
        let Member { start, value_start } = object.member;
        let value = self.text.get(value_start..).unwrap_or_default();
        if self.attribute.is_some() && value != b"null" && value != b"[]" {
            object.has_members = true;
            return;
        }
        // An unknown attribute has no node, `null` neither, and an empty array one.
        if value == b"[]" && self.attribute.is_some() {
            self.nodes.pop();
            self.starts.pop();
        }
        self.cut_bytes += self.text.len() - start;
        self.cuts.push(start..self.text.len());
    }

    /// Returns the encoded resource.
    ///
    /// # Errors
    /// Returns an error if the text is not UTF-8, which `serde_json` rules out.
    pub(in crate::scim) fn finish(self) -> Result<EncodedResource<'t>, SerializationError> {
        let Self { resource_type, mut text, cuts, cut_bytes, mut nodes, starts, .. } = self;
        if cut_bytes > 0 {
            text = without_cuts(&text, &cuts);
        }
        let length = saturating_u32(text.len());
        for node in &mut nodes {
            let end = node.bytes_to_next;
            let next_start = starts.get(node.next_sibling as usize).copied().unwrap_or(length);
            node.bytes_to_next = next_start.saturating_sub(end);
        }
        // A copy takes only the memory that it needs. Allocators do not shrink an allocation by
        // less than half.
        let json = str::from_utf8(&text).map_err(serde_json::Error::custom)?.into();
        Ok(EncodedResource { resource_type, json, nodes, starts })
    }
}

/// Returns the text outside the cuts.
fn without_cuts(text: &[u8], cuts: &[Range<usize>]) -> Vec<u8> {
    let mut output = Vec::with_capacity(text.len());
    let mut copied_until = 0;
    for cut in cuts {
        output.extend_from_slice(text.get(copied_until..cut.start).unwrap_or_default());
        copied_until = cut.end;
    }
    output.extend_from_slice(text.get(copied_until..).unwrap_or_default());
    output
}

/// Defines the methods of a [`Formatter`] that write a number.
macro_rules! write_numbers {
    ($($method:ident($number:ty);)*) => {$(
        fn $method<W: ?Sized + Write>(&mut self, _: &mut W, value: $number) -> io::Result<()> {
            self.write_scalar(ValueKind::Number, |text| CompactFormatter.$method(text, value))
        }
    )*};
}

/// Every method writes to the text of the writer. The output of the serializer is not used, because
/// a formatter cannot read it.
impl Formatter for &mut ResourceWriter<'_> {
    write_numbers! {
        write_i8(i8);
        write_i16(i16);
        write_i32(i32);
        write_i64(i64);
        write_i128(i128);
        write_u8(u8);
        write_u16(u16);
        write_u32(u32);
        write_u64(u64);
        write_u128(u128);
        write_f32(f32);
        write_f64(f64);
        write_number_str(&str);
    }

    fn write_bool<W: ?Sized + Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        self.write_scalar(ValueKind::Boolean, |text| CompactFormatter.write_bool(text, value))
    }

    /// Writes `null`. In an array it stays in the text, but is not a value.
    fn write_null<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.extend_from_slice(b"null");
        Ok(())
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.string.start = self.text.len();
        self.string.is_escaped = false;
        self.text.push(b'"');
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        _: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.text.extend_from_slice(fragment.as_bytes());
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        _: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.string.is_escaped = true;
        CompactFormatter.write_char_escape(&mut self.text, escape)
    }

    fn end_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.push(b'"');
        if self.string.is_name {
            return Ok(());
        }
        let Some(attribute) = self.attribute else { return Ok(()) };
        let kind = if self.string.is_escaped {
            ValueKind::EscapedText
        } else if self.resource_type.get(attribute).attribute_type == AttributeType::DateTime {
            ValueKind::DateTime
        } else {
            ValueKind::Text
        };
        self.push_value(kind, self.string.start);
        Ok(())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open(ValueKind::Array, b'[');
        Ok(())
    }

    fn end_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.close(b']');
        Ok(())
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        _: &mut W,
        is_first: bool,
    ) -> io::Result<()> {
        if !is_first {
            self.text.push(b',');
        }
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        if self.open.is_empty() && !self.text.is_empty() {
            self.reopen();
        } else {
            self.open(ValueKind::Object, b'{');
        }
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.close(b'}');
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, _: &mut W, _: bool) -> io::Result<()> {
        self.begin_member();
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.end_member_name();
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.begin_member_value();
        Ok(())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.end_member();
        Ok(())
    }

    /// Refuses JSON that another program has written, because its values have no nodes.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a resource cannot contain raw JSON"))
    }
}
