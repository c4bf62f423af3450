//! Evaluation of a bound filter over a set of resources.
//!
//! [`matches()`] is the entry. If the indexes leave few [`candidates`], each candidate is tested.
//! Otherwise a [`Planner`] creates a [`QueryPlan`], which is evaluated over the columns: a column
//! stores each distinct value once, so a predicate is tested once for each distinct value, and the
//! result is a set of resources. The plan scans the resources themselves only where a column cannot
//! decide.

#[cfg(test)]
mod tests;

use fixedbitset::FixedBitSet;

use crate::scim::deadline;
use crate::scim::filter::bind::{BoundAttribute, BoundFilter};
use crate::scim::filter::predicate::Predicate;
use crate::scim::store::column::{Column, ElementNumbers, full_set};
use crate::scim::{AttributeId, Deadline, DeadlineExceeded, ResourceSet};

/// Maximum number of candidates of an `or`. Testing more than this one by one takes longer than
/// evaluating the columns.
const MAX_INDEX_CANDIDATES: usize = 2000;

/// Number of resources that a scan tests between two checks of the deadline.
const RESOURCES_PER_DEADLINE_CHECK: usize = 1000;

/// Returns the indexes of the resources that match, in the order of the set. `candidates` must be
/// those of [`candidates`] for this filter and set.
///
/// # Errors
/// Returns an error at the deadline, which is checked at intervals.
pub(in crate::scim) fn matches(
    filter: &BoundFilter,
    resources: &ResourceSet,
    candidates: Option<&[u32]>,
    deadline: Option<Deadline>,
) -> Result<Vec<u32>, DeadlineExceeded> {
    if let Some(candidates) = candidates {
        let mut matches = Vec::new();
        for index in candidates {
            deadline::check(deadline)?;
            if is_match(filter, resources, *index as usize) {
                matches.push(*index);
            }
        }
        return Ok(matches);
    }
    let all = full_set(resources.all().len());
    let matches = Planner { resources }.plan(filter).evaluate(&all, deadline)?;
    Ok(matches.ones().filter_map(|index| u32::try_from(index).ok()).collect())
}

/// Returns the indexes of the few resources that can match, in the order of the set. Returns none
/// if no hash index narrows the filter down.
pub(in crate::scim) fn candidates(
    filter: &BoundFilter,
    resources: &ResourceSet,
) -> Option<Vec<u32>> {
    match filter {
        BoundFilter::And(filters) | BoundFilter::ValuePath { filters, .. } => {
            let narrowed = filters.iter().filter_map(|filter| candidates(filter, resources));
            narrowed.min_by_key(Vec::len)
        }
        BoundFilter::Or(filters) => {
            let mut union = Vec::new();
            for filter in filters {
                union.append(&mut candidates(filter, resources)?);
                if union.len() > MAX_INDEX_CANDIDATES {
                    return None;
                }
            }
            union.sort_unstable();
            union.dedup();
            Some(union)
        }
        BoundFilter::Attribute(BoundAttribute { id, predicate, .. }) => {
            let value = predicate.equal_to()?;
            resources.index_candidates(*id, value)
        }
        BoundFilter::Constant(false) => Some(Vec::new()),
        BoundFilter::Not(_) | BoundFilter::Constant(true) => None,
    }
}

fn is_match(filter: &BoundFilter, resources: &ResourceSet, index: usize) -> bool {
    match resources.all().get(index) {
        Some(resource) => filter.holds(resource.value()),
        None => false,
    }
}

/// Evaluation of a filter over many resources, or over the elements of an attribute.
enum QueryPlan<'a> {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Constant(bool),
    /// Test of the only value of each resource or element.
    Column(&'a Predicate, &'a Column),
    /// Test of the elements of each resource, of which any can match.
    ElementColumn(&'a ElementNumbers, &'a Predicate, &'a Column),
    /// Resources with an element for which the plan holds.
    ValuePath(&'a ElementNumbers, Box<Self>),
    /// Test of each resource, without columns.
    Scan(&'a BoundFilter, &'a ResourceSet),
}

/// Rows that a plan selects from.
#[derive(Clone, Copy)]
enum Rows {
    /// Resources. Only these can be scanned.
    Resources,
    /// Object in front of the brackets, one in each resource.
    Object,
    /// Elements of this attribute.
    Elements(AttributeId),
}

/// Creator of plans for one set of resources.
struct Planner<'a> {
    resources: &'a ResourceSet,
}

impl<'a> Planner<'a> {
    /// Returns the plan over columns, or a scan if the columns cannot decide.
    fn plan(&self, filter: &'a BoundFilter) -> QueryPlan<'a> {
        match self.plan_over_columns(filter, Rows::Resources) {
            Some(plan) => plan,
            None => QueryPlan::Scan(filter, self.resources),
        }
    }

    /// Returns the plan, or none if the columns cannot decide.
    fn plan_over_columns(&self, filter: &'a BoundFilter, rows: Rows) -> Option<QueryPlan<'a>> {
        match filter {
            BoundFilter::And(filters) => Some(QueryPlan::And(self.plan_operands(filters, rows)?)),
            BoundFilter::Or(filters) => Some(QueryPlan::Or(self.plan_operands(filters, rows)?)),
            BoundFilter::Not(filter) => {
                let plan = self.plan_operand(filter, rows)?;
                Some(QueryPlan::Not(Box::new(plan)))
            }
            BoundFilter::Constant(result) => Some(QueryPlan::Constant(*result)),
            BoundFilter::Attribute(attribute) => self.plan_attribute(attribute, rows),
            BoundFilter::ValuePath { attribute, filters, .. } => {
                let is_multi_valued = self.resources.resource_type().get(*attribute).multi_valued;
                if is_multi_valued {
                    return self.plan_elements(*attribute, filters);
                }
                Some(QueryPlan::And(self.plan_inner(filters, Rows::Object)?))
            }
        }
    }

    /// Returns the plan of an operand. An operand over resources is scanned if its columns cannot
    /// decide, so that the other operands still use theirs.
    fn plan_operand(&self, filter: &'a BoundFilter, rows: Rows) -> Option<QueryPlan<'a>> {
        match rows {
            Rows::Resources => Some(self.plan(filter)),
            Rows::Object | Rows::Elements(_) => self.plan_over_columns(filter, rows),
        }
    }

    fn plan_operands(&self, filters: &'a [BoundFilter], rows: Rows) -> Option<Vec<QueryPlan<'a>>> {
        filters.iter().map(|filter| self.plan_operand(filter, rows)).collect()
    }

    /// Returns the plans of the filters of a value path, or none if the columns cannot decide.
    fn plan_inner(&self, filters: &'a [BoundFilter], rows: Rows) -> Option<Vec<QueryPlan<'a>>> {
        filters.iter().map(|filter| self.plan_over_columns(filter, rows)).collect()
    }

    fn plan_attribute(&self, attribute: &'a BoundAttribute, rows: Rows) -> Option<QueryPlan<'a>> {
        let BoundAttribute { id, predicate, .. } = attribute;
        let column = self.resources.column(*id)?;
        match (self.resources.resource_type().enclosing_multi_valued(*id), rows) {
            (Some(holder), Rows::Elements(elements)) if holder == elements => {
                Some(QueryPlan::Column(predicate, column))
            }
            (_, Rows::Elements(_)) => None,
            (Some(holder), Rows::Resources | Rows::Object) => {
                let elements = self.resources.elements(holder)?;
                Some(QueryPlan::ElementColumn(elements, predicate, column))
            }
            (None, Rows::Resources | Rows::Object) => Some(QueryPlan::Column(predicate, column)),
        }
    }

    /// Returns the plan of a value path over a multi-valued attribute.
    fn plan_elements(&self, id: AttributeId, filters: &'a [BoundFilter]) -> Option<QueryPlan<'a>> {
        let plan = QueryPlan::And(self.plan_inner(filters, Rows::Elements(id))?);
        let elements = self.resources.elements(id)?;
        Some(QueryPlan::ValuePath(elements, Box::new(plan)))
    }
}

impl QueryPlan<'_> {
    /// Returns the members of `rows` for which the plan holds.
    fn evaluate(
        &self,
        rows: &FixedBitSet,
        deadline: Option<Deadline>,
    ) -> Result<FixedBitSet, DeadlineExceeded> {
        deadline::check(deadline)?;
        match self {
            Self::And(plans) => evaluate_and(plans, rows, deadline),
            Self::Or(plans) => evaluate_or(plans, rows, deadline),
            Self::Not(plan) => Ok(difference(rows, &plan.evaluate(rows, deadline)?)),
            Self::Constant(true) => Ok(rows.clone()),
            Self::Constant(false) => Ok(FixedBitSet::with_capacity(rows.len())),
            Self::Column(predicate, column) => Ok(intersection(rows, rows_with(predicate, column))),
            Self::ElementColumn(elements, predicate, column) => {
                Ok(intersection(rows, holders_with(elements, predicate, column)))
            }
            Self::ValuePath(elements, plan) => {
                let matching = plan.evaluate(&full_set(elements.element_count()), deadline)?;
                Ok(intersection(rows, elements.resources_with(&matching)))
            }
            Self::Scan(filter, resources) => scan(filter, resources, rows, deadline),
        }
    }
}

fn evaluate_and(
    plans: &[QueryPlan<'_>],
    rows: &FixedBitSet,
    deadline: Option<Deadline>,
) -> Result<FixedBitSet, DeadlineExceeded> {
    let mut matches = rows.clone();
    for plan in plans {
        if matches.is_clear() {
            break;
        }
        matches = plan.evaluate(&matches, deadline)?;
    }
    Ok(matches)
}

fn evaluate_or(
    plans: &[QueryPlan<'_>],
    rows: &FixedBitSet,
    deadline: Option<Deadline>,
) -> Result<FixedBitSet, DeadlineExceeded> {
    let mut matches = FixedBitSet::with_capacity(rows.len());
    let mut remaining = rows.clone();
    for plan in plans {
        if remaining.is_clear() {
            break;
        }
        let added = plan.evaluate(&remaining, deadline)?;
        remaining.difference_with(&added);
        matches.union_with(&added);
    }
    Ok(matches)
}

fn scan(
    filter: &BoundFilter,
    resources: &ResourceSet,
    rows: &FixedBitSet,
    deadline: Option<Deadline>,
) -> Result<FixedBitSet, DeadlineExceeded> {
    let mut matches = FixedBitSet::with_capacity(rows.len());
    for (scanned, index) in rows.ones().enumerate() {
        if scanned % RESOURCES_PER_DEADLINE_CHECK == RESOURCES_PER_DEADLINE_CHECK - 1 {
            deadline::check(deadline)?;
        }
        if is_match(filter, resources, index) {
            matches.insert(index);
        }
    }
    Ok(matches)
}

fn intersection(rows: &FixedBitSet, mut matches: FixedBitSet) -> FixedBitSet {
    matches.intersect_with(rows);
    matches
}

fn difference(rows: &FixedBitSet, removed: &FixedBitSet) -> FixedBitSet {
    let mut remaining = rows.clone();
    remaining.difference_with(removed);
    remaining
}

/// Returns the rows of the column for which the predicate holds.
fn rows_with(predicate: &Predicate, column: &Column) -> FixedBitSet {
    let values = matching_values(predicate, column);
    let holds_without_value = predicate.holds_without_value();
    if values.is_clear() && !holds_without_value {
        return FixedBitSet::with_capacity(column.len());
    }
    column.rows_with(&values, holds_without_value)
}

/// Returns the resources for which the predicate holds, by the column of their elements.
fn holders_with(elements: &ElementNumbers, predicate: &Predicate, column: &Column) -> FixedBitSet {
    let values = matching_values(predicate, column);
    let mut matches = if values.is_clear() {
        FixedBitSet::with_capacity(elements.resource_count())
    } else {
        elements.resources_with(&column.rows_with(&values, false))
    };
    if predicate.holds_without_value() {
        let with_value =
            elements.resources_with(&column.rows_with(&full_set(column.distinct_count()), false));
        matches.union_with(&difference(&full_set(elements.resource_count()), &with_value));
    }
    matches
}

/// Returns the dictionary codes of the values for which the predicate holds.
fn matching_values(predicate: &Predicate, column: &Column) -> FixedBitSet {
    if let Some(part) = predicate.contained()
        && let Some(codes) = column.codes_containing(part)
    {
        return codes;
    }
    let mut codes = FixedBitSet::with_capacity(column.distinct_count());
    for (code, value) in column.values().enumerate() {
        if predicate.holds_folded(&value) {
            codes.insert(code);
        }
    }
    codes
}
