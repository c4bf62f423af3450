//! Columns: the values of one attribute of all resources, dictionary-encoded. Each distinct value
//! is stored once, and each resource has the code of its value. A filter tests each distinct value
//! once and then selects resources by their codes, without reading the resources.
//!
//! - [`ColumnSet`]: the columns of a resource type, built when a query needs them.
//! - [`Column`]: the codes and distinct values of one attribute, of resources or of elements.
//! - [`ElementNumbers`]: which elements of a multi-valued attribute belong to which resource.
//! - [`ColumnBuilder`]: from values to codes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use jiff::Timestamp;
use memchr::memmem::Finder;
use serde_json::Number;

use crate::scim::resource::{DecodedValue, Resource, ResourceValue, Several, saturating_u32};
use crate::scim::store::case_fold::CaseSensitivity;
use crate::scim::store::on_demand::OnDemand;
use crate::scim::{AttributeId, ResourceType};

/// Columns of the attributes that queries filter by.
#[derive(Debug)]
pub(in crate::scim) struct ColumnSet {
    /// Column of each attribute. It is `None` if a resource has a list where the schema has a
    /// single value: then only the resources can be tested.
    columns: Box<[OnDemand<Option<Column>>]>,
    /// Elements of each attribute, `None` as above or if the attribute is not multi-valued.
    elements: Box<[OnDemand<Option<ElementNumbers>>]>,
}

/// Values of one attribute. A row is a resource, or an element if the attribute is within a
/// multi-valued one.
#[derive(Debug)]
pub(in crate::scim) struct Column {
    codes: DictionaryCodes,
    /// Folded texts of all distinct values, one after the other in the order of their codes.
    texts: Box<str>,
    /// Offset in `texts` at which the text of each distinct value ends. It begins where the one
    /// before ends.
    text_ends: Box<[u32]>,
    /// Distinct values by their codes. The list is empty if all of them are texts.
    values: Box<[DictionaryValue]>,
}

/// Code of the value of each row, in as few bytes as the number of codes needs. The largest number
/// of the width stands for a row without a value.
#[derive(Debug)]
enum DictionaryCodes {
    Byte(Box<[u8]>),
    Short(Box<[u16]>),
    Long(Box<[u32]>),
}

/// Elements of a multi-valued attribute, numbered through all resources. The elements of a resource
/// have consecutive numbers.
#[derive(Debug)]
pub(in crate::scim) struct ElementNumbers {
    /// Number of the first element of each resource, then the number of all elements.
    starts: Box<[u32]>,
}

/// Code of a row without a value, while the column is built.
const ABSENT: u32 = u32::MAX;

/// Distinct value of a column. Its text, if it has one, is in [`Column::texts`].
#[derive(Debug, Clone)]
enum DictionaryValue {
    Text,
    Boolean(bool),
    Number(Number),
    DateTime(Timestamp),
    Nested,
}

impl ColumnSet {
    /// Returns the columns of a type, none of which is built yet.
    pub(in crate::scim) fn new(resource_type: &ResourceType) -> Self {
        Self {
            columns: resource_type.ids().map(|_| OnDemand::new()).collect(),
            elements: resource_type.ids().map(|_| OnDemand::new()).collect(),
        }
    }

    /// Returns the column of an attribute. Every call must pass the same resources.
    pub(in crate::scim) fn column(
        &self,
        resource_type: &ResourceType,
        resources: &[Arc<Resource>],
        id: AttributeId,
    ) -> Option<&Column> {
        let column = self.columns.get(usize::from(id.0))?;
        column.get(|| self.build_column(resource_type, resources, id)).as_ref()
    }

    fn build_column(
        &self,
        resource_type: &ResourceType,
        resources: &[Arc<Resource>],
        id: AttributeId,
    ) -> Option<Column> {
        let Some(holder) = resource_type.enclosing_multi_valued(id) else {
            return Column::of_resources(resource_type, id, resources);
        };
        let elements = self.elements(resource_type, resources, holder)?;
        Column::of_elements(resource_type, id, holder, elements, resources)
    }

    /// Builds the columns that queries needed of `earlier` resources of the same type.
    pub(in crate::scim) fn prebuild_from(
        &self,
        earlier: &Self,
        resource_type: &ResourceType,
        resources: &[Arc<Resource>],
    ) {
        let columns = self.columns.iter().zip(&earlier.columns);
        for (id, (column, earlier)) in resource_type.ids().zip(columns) {
            column.prebuild_from(earlier, || self.build_column(resource_type, resources, id));
        }
    }

    /// Returns the elements of an attribute. Every call must pass the same resources.
    pub(in crate::scim) fn elements(
        &self,
        resource_type: &ResourceType,
        resources: &[Arc<Resource>],
        id: AttributeId,
    ) -> Option<&ElementNumbers> {
        let elements = self.elements.get(usize::from(id.0))?;
        elements.get(|| ElementNumbers::new(resource_type, id, resources)).as_ref()
    }

    /// Returns the attributes whose columns are built.
    #[cfg(test)]
    pub(in crate::scim) fn built(&self, resource_type: &ResourceType) -> Vec<AttributeId> {
        let columns = resource_type.ids().zip(&self.columns);
        columns.filter(|(_, column)| column.is_computed()).map(|(id, _)| id).collect()
    }
}

impl Column {
    /// Builds the column of an attribute that is not within a multi-valued one.
    fn of_resources(
        resource_type: &ResourceType,
        id: AttributeId,
        resources: &[Arc<Resource>],
    ) -> Option<Self> {
        let path = resource_type.path_ids(id);
        let mut builder =
            ColumnBuilder::new(CaseSensitivity::from_case_exact(resource_type.get(id).case_exact));
        for resource in resources {
            builder.push(resource.single_value_on_path(&path).ok()?);
        }
        Some(builder.finish())
    }

    /// Builds the column of a multi-valued attribute `holder`, or of an attribute within it.
    fn of_elements(
        resource_type: &ResourceType,
        id: AttributeId,
        holder: AttributeId,
        elements: &ElementNumbers,
        resources: &[Arc<Resource>],
    ) -> Option<Self> {
        let path = resource_type.path_ids(id);
        let holder_depth = resource_type.path_ids(holder).len();
        let path_in_element = path.get(holder_depth..).unwrap_or_default();
        // Multi-valued attributes within elements have no column.
        if path_in_element.iter().any(|id| resource_type.get(*id).multi_valued) {
            return None;
        }
        let mut builder =
            ColumnBuilder::new(CaseSensitivity::from_case_exact(resource_type.get(id).case_exact));
        builder.codes.reserve(elements.element_count());
        for resource in resources {
            let Some(array) = resource.single_value(holder) else { continue };
            for element in array.children() {
                builder.push(value_in_element(element, path_in_element).ok()?);
            }
        }
        Some(builder.finish())
    }

    /// Returns the rows whose value has one of these codes, and the rows without a value if
    /// `absent` is true.
    pub(in crate::scim) fn rows_with(&self, codes: &FixedBitSet, absent: bool) -> FixedBitSet {
        match &self.codes {
            DictionaryCodes::Byte(rows) => {
                select_rows(rows, |code| is_selected(usize::from(*code), codes, absent))
            }
            DictionaryCodes::Short(rows) => {
                select_rows(rows, |code| is_selected(usize::from(*code), codes, absent))
            }
            DictionaryCodes::Long(rows) => {
                select_rows(rows, |code| is_selected(*code as usize, codes, absent))
            }
        }
    }

    /// Returns the number of distinct values.
    pub(in crate::scim) fn distinct_count(&self) -> usize {
        self.text_ends.len()
    }

    /// Returns the number of rows, with a value or without.
    pub(in crate::scim) fn len(&self) -> usize {
        match &self.codes {
            DictionaryCodes::Byte(rows) => rows.len(),
            DictionaryCodes::Short(rows) => rows.len(),
            DictionaryCodes::Long(rows) => rows.len(),
        }
    }

    /// Returns the codes of the values that contain `part`, if all values are texts. All texts are
    /// searched as one, which is much faster than searching them one by one.
    pub(in crate::scim) fn codes_containing(&self, part: &str) -> Option<FixedBitSet> {
        if !self.values.is_empty() {
            return None;
        }
        if part.is_empty() {
            return Some(full_set(self.text_ends.len()));
        }
        let mut codes = FixedBitSet::with_capacity(self.text_ends.len());
        let finder = Finder::new(part);
        let mut text_ends = self.text_ends.iter().enumerate();
        let texts = self.texts.as_bytes();
        let mut search_start = 0;
        while let Some(offset) = finder.find(texts.get(search_start..).unwrap_or_default()) {
            let match_start = search_start + offset;
            let ending_later = text_ends.find(|(_, text_end)| **text_end as usize > match_start);
            let Some((code, text_end)) = ending_later else { break };
            let text_end = *text_end as usize;
            if match_start + part.len() <= text_end {
                codes.insert(code);
            }
            // The rest of this text is skipped: its code is in the set already, or this match, and
            // with it every later one, crosses the end of the text and does not count.
            search_start = text_end;
        }
        Some(codes)
    }

    /// Returns the distinct values in the order of their codes. Texts are folded.
    pub(in crate::scim) fn values(&self) -> impl Iterator<Item = DecodedValue<'_>> {
        let mut start = 0;
        self.text_ends.iter().enumerate().map(move |(code, end)| {
            let text = self.texts.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            match self.values.get(code) {
                None | Some(DictionaryValue::Text) => DecodedValue::Text(Cow::Borrowed(text)),
                Some(DictionaryValue::Boolean(value)) => DecodedValue::Boolean(*value),
                Some(DictionaryValue::Number(number)) => DecodedValue::Number(number.clone()),
                Some(DictionaryValue::DateTime(timestamp)) => {
                    DecodedValue::DateTime(*timestamp, text)
                }
                Some(DictionaryValue::Nested) => DecodedValue::Nested,
            }
        })
    }
}

/// Returns the value at the end of a path within an element.
///
/// # Errors
/// Returns an error if an array is on the path, because there may be several values.
fn value_in_element<'a>(
    element: ResourceValue<'a>,
    path: &[AttributeId],
) -> Result<Option<ResourceValue<'a>>, Several> {
    let mut value = element;
    for id in path {
        let Some(member) = value.member(*id) else { return Ok(None) };
        if member.is_array() {
            return Err(Several);
        }
        value = member;
    }
    Ok(Some(value))
}

impl ElementNumbers {
    /// Numbers the elements of an attribute. The result is `None` if the attribute is not
    /// multi-valued, or a resource has something other than a plain list of elements.
    fn new(
        resource_type: &ResourceType,
        id: AttributeId,
        resources: &[Arc<Resource>],
    ) -> Option<Self> {
        if !resource_type.get(id).multi_valued {
            return None;
        }
        let path = resource_type.path_ids(id);
        let (_, path_above) = path.split_last()?;
        let mut starts = Vec::with_capacity(resources.len() + 1);
        let mut count = 0;
        starts.push(count);
        for resource in resources {
            resource.single_value_on_path(path_above).ok()?;
            if let Some(array) = resource.single_value(id) {
                if !array.is_array() || array.children().any(ResourceValue::is_array) {
                    return None;
                }
                count += saturating_u32(array.children().count());
            }
            starts.push(count);
        }
        Some(Self { starts: starts.into() })
    }

    /// Returns the number of elements.
    pub(in crate::scim) fn element_count(&self) -> usize {
        self.starts.last().map_or(0, |count| *count as usize)
    }

    /// Returns the number of resources, with elements or without.
    pub(in crate::scim) fn resource_count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Returns the resources that have at least one of these elements.
    pub(in crate::scim) fn resources_with(&self, elements: &FixedBitSet) -> FixedBitSet {
        let mut resources = FixedBitSet::with_capacity(self.resource_count());
        let mut ends = self.starts.iter().skip(1).enumerate().peekable();
        for element in elements.ones() {
            // Both are ascending: resources that end before the element have none of the rest.
            while ends.next_if(|(_, end)| **end as usize <= element).is_some() {}
            if let Some((resource, _)) = ends.peek() {
                resources.insert(*resource);
            }
        }
        resources
    }
}

/// Returns the set of all numbers below `length`.
pub(in crate::scim) fn full_set(length: usize) -> FixedBitSet {
    let mut full = FixedBitSet::with_capacity(length);
    full.insert_range(..);
    full
}

/// Reports whether a row with this code is selected. A row without a value has a code beyond the
/// length of the set.
fn is_selected(code: usize, codes: &FixedBitSet, absent: bool) -> bool {
    if code < codes.len() { codes.contains(code) } else { absent }
}

/// Returns the numbers of the selected rows. They are collected in words, which is much faster than
/// inserting them one by one.
fn select_rows<C>(rows: &[C], is_selected: impl Fn(&C) -> bool) -> FixedBitSet {
    let words = rows.chunks(usize::BITS as usize).map(|rows| {
        let mut word = 0;
        for (bit, code) in rows.iter().enumerate() {
            word |= usize::from(is_selected(code)) << bit;
        }
        word
    });
    FixedBitSet::with_capacity_and_blocks(rows.len(), words)
}

/// Builder of a column, row by row.
struct ColumnBuilder<'a> {
    case: CaseSensitivity,
    codes: Vec<u32>,
    texts: String,
    text_ends: Vec<u32>,
    values: Vec<DictionaryValue>,
    /// Codes of known values by their JSON.
    code_by_json: HashMap<&'a str, u32>,
    /// JSON and code of the previous value. Successive rows often have the same value.
    previous: Option<(&'a str, u32)>,
}

/// Number of distinct values after which the builder decides whether values repeat.
const REPEAT_SAMPLE_VALUES: usize = 4096;

impl<'a> ColumnBuilder<'a> {
    fn new(case: CaseSensitivity) -> Self {
        Self {
            case,
            codes: Vec::new(),
            texts: String::new(),
            text_ends: Vec::new(),
            values: Vec::new(),
            code_by_json: HashMap::new(),
            previous: None,
        }
    }

    /// Adds a row.
    fn push(&mut self, value: Option<ResourceValue<'a>>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return self.codes.push(ABSENT);
        };
        // All objects count as the same value, because no filter compares them.
        let json = if value.is_object() { "{}" } else { value.json() };
        let known = match self.previous {
            Some((previous_json, code)) if previous_json == json => Some(code),
            _ if self.values_repeat() => self.code_by_json.get(json).copied(),
            _ => None,
        };
        let code = match known {
            Some(code) => code,
            None => self.push_distinct(json, value),
        };
        self.previous = Some((json, code));
        self.codes.push(code);
    }

    /// Reports whether values repeat, so that a look-up of the code of a value is worthwhile. If
    /// they do not, a value that occurs twice gets two codes.
    fn values_repeat(&self) -> bool {
        let distinct = self.text_ends.len();
        distinct < REPEAT_SAMPLE_VALUES || distinct < self.codes.len() / 2
    }

    /// Adds a distinct value, and returns its code.
    fn push_distinct(&mut self, json: &'a str, value: ResourceValue<'a>) -> u32 {
        let code = saturating_u32(self.text_ends.len());
        let value = match value.decode() {
            DecodedValue::Text(text) => {
                self.texts.push_str(&self.case.fold(&text));
                DictionaryValue::Text
            }
            DecodedValue::DateTime(timestamp, text) => {
                self.texts.push_str(&self.case.fold(text));
                DictionaryValue::DateTime(timestamp)
            }
            DecodedValue::Boolean(value) => DictionaryValue::Boolean(value),
            DecodedValue::Number(number) => DictionaryValue::Number(number),
            DecodedValue::Nested => DictionaryValue::Nested,
        };
        if !matches!(value, DictionaryValue::Text) || !self.values.is_empty() {
            // The first value that is not a text: the list gets the texts before it.
            self.values.resize(self.text_ends.len(), DictionaryValue::Text);
            self.values.push(value);
        }
        self.text_ends.push(saturating_u32(self.texts.len()));
        if self.values_repeat() {
            self.code_by_json.insert(json, code);
        }
        code
    }

    fn finish(self) -> Column {
        Column {
            codes: DictionaryCodes::new(&self.codes, self.text_ends.len()),
            texts: self.texts.into(),
            text_ends: self.text_ends.into(),
            values: self.values.into(),
        }
    }
}

impl DictionaryCodes {
    /// Packs codes, each of which is below `count` or [`ABSENT`].
    fn new(codes: &[u32], count: usize) -> Self {
        if count <= usize::from(u8::MAX) {
            Self::Byte(codes.iter().map(|code| u8::try_from(*code).unwrap_or(u8::MAX)).collect())
        } else if count <= usize::from(u16::MAX) {
            Self::Short(codes.iter().map(|code| u16::try_from(*code).unwrap_or(u16::MAX)).collect())
        } else {
            Self::Long(codes.into())
        }
    }
}
