//! Shape of a resource: the nodes of its values, with their order and nesting. Resources with the
//! same structure and the same gaps between values share one shape, so that each resource stores
//! only the offsets at which its values begin.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hashbrown::HashTable;

use crate::scim::{AttributeId, ResourceType};

/// Nodes of a resource, in the order of the JSON: each node comes before those within it, and the
/// first node is the resource itself.
#[derive(Debug)]
pub(in crate::scim) struct ResourceShape {
    resource_type: Arc<ResourceType>,
    nodes: Box<[Node]>,
    /// Index of the node of each attribute outside arrays, or [`NO_NODE`].
    node_indexes: Box<[u32]>,
}

const NO_NODE: u32 = u32::MAX;

/// Node of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scim) struct Node {
    /// Index of the node after this one and all nodes within it.
    pub(in crate::scim) next_sibling: u32,
    /// Number of bytes between the end of the value and the start of the value of `next_sibling`,
    /// or the end of the resource.
    pub(in crate::scim) bytes_to_next: u32,
    pub(in crate::scim) attribute: AttributeId,
    pub(in crate::scim) kind: ValueKind,
}

/// Kind of a value in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scim) enum ValueKind {
    /// Text without escapes.
    Text,
    /// Text with escapes.
    EscapedText,
    /// Text without escapes in an attribute of the type `dateTime`. It may be malformed.
    DateTime,
    Boolean,
    Number,
    Object,
    Array,
}

impl ResourceShape {
    fn new(resource_type: &Arc<ResourceType>, nodes: &[Node]) -> Self {
        let mut node_indexes = vec![NO_NODE; resource_type.len()];
        index_members(nodes, 0, &mut node_indexes);
        let resource_type = Arc::clone(resource_type);
        Self { resource_type, nodes: nodes.into(), node_indexes: node_indexes.into() }
    }

    pub(in crate::scim) fn resource_type(&self) -> &Arc<ResourceType> {
        &self.resource_type
    }

    /// Returns the node with this index, which must come from this shape.
    #[expect(clippy::indexing_slicing, reason = "indexes come from this shape")]
    pub(in crate::scim) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    /// Returns the index of the node of this attribute. A value within an array has none.
    pub(in crate::scim) fn node_index(&self, id: AttributeId) -> Option<u32> {
        match self.node_indexes.get(usize::from(id.0)) {
            Some(&NO_NODE) | None => None,
            Some(index) => Some(*index),
        }
    }
}

/// Writes the node indexes of the members of an object, and of the objects within it, to
/// `node_indexes`. If a member is repeated, the first one counts.
fn index_members(nodes: &[Node], object: u32, node_indexes: &mut [u32]) {
    let Some(end) = nodes.get(object as usize).map(|node| node.next_sibling) else { return };
    let mut index = object + 1;
    while index < end
        && let Some(member) = nodes.get(index as usize)
    {
        if let Some(known) = node_indexes.get_mut(usize::from(member.attribute.0))
            && *known == NO_NODE
        {
            *known = index;
            if member.kind == ValueKind::Object {
                index_members(nodes, index, node_indexes);
            }
        }
        index = member.next_sibling;
    }
}

/// Shapes that resources of one type currently use. A shape without resources is dropped.
#[derive(Debug, Default)]
pub(in crate::scim) struct ShapeInterner(Mutex<HashTable<InternedShape>>);

#[derive(Debug)]
struct InternedShape {
    hash: u64,
    shape: Weak<ResourceShape>,
}

impl ShapeInterner {
    /// Returns the shape with these nodes, and creates it if no resource uses it.
    pub(in crate::scim) fn intern(
        &self,
        resource_type: &Arc<ResourceType>,
        nodes: &[Node],
    ) -> Arc<ResourceShape> {
        let hash = hash_nodes(nodes);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in table.iter_hash(hash) {
            if entry.hash == hash
                && let Some(shape) = entry.shape.upgrade()
                && *shape.nodes == *nodes
            {
                return shape;
            }
        }
        if table.len() == table.capacity() {
            table.retain(|entry| entry.shape.strong_count() > 0);
            // The table doubles, so that this clean-up stays rare.
            let additional = table.len() + 1;
            table.reserve(additional, |entry| entry.hash);
        }
        let shape = Arc::new(ResourceShape::new(resource_type, nodes));
        let entry = InternedShape { hash, shape: Arc::downgrade(&shape) };
        table.insert_unique(hash, entry, |entry| entry.hash);
        shape
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Returns a hash of the nodes. It is fast rather than collision-free, because it is computed for
/// every resource that is encoded; shapes with the same hash are compared by their nodes.
fn hash_nodes(nodes: &[Node]) -> u64 {
    let mut hash = HASH_MULTIPLIER;
    for node in nodes {
        hash = mix(hash, u64::from(node.attribute.0) << 8 | node.kind as u64);
        hash = mix(hash, u64::from(node.next_sibling) << 32 | u64::from(node.bytes_to_next));
    }
    hash ^ hash >> 32
}

/// Odd constant with evenly distributed bits: 2^64 divided by the golden ratio.
const HASH_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(HASH_MULTIPLIER)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use serde_json::{Value, json};

    use super::*;
    use crate::scim::{Discovery, Resource, ResourceUrls};

    fn user_type() -> Arc<ResourceType> {
        let discovery = Discovery::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]);
        discovery.unwrap().compile_types().unwrap().user
    }

    fn user_with_emails(user_type: &Arc<ResourceType>, count: usize) -> Resource {
        let emails = vec![json!({"value": "a"}); count];
        Resource::new(user_type, &json!({"emails": emails})).unwrap()
    }

    #[test]
    fn resources_share_a_shape_if_their_structure_is_the_same() {
        let user_type = user_type();
        let encode = |content: &Value| Resource::new(&user_type, content).unwrap();
        let first = encode(&json!({"id": "1", "title": "a", "active": true}));
        for same in [
            json!({"id": "a much longer id", "title": "b", "active": false}),
            json!({
                "id": "2",
                "name": null,
                "title": "c",
                "emails": [],
                "active": false,
                "unknown": 1,
            }),
        ] {
            assert!(Arc::ptr_eq(encode(&same).shape(), first.shape()), "{same}");
        }
        for other in [
            json!({"id": "1", "title": "a"}),
            json!({"title": "a", "id": "1", "active": true}),
            json!({"id": "1", "title": "\"", "active": true}),
            json!({"id": "1", "title": ["a"], "active": true}),
            json!({"id": "1", "title": "a", "active": "true"}),
            json!({"id": "1", "title": "a", "active": true, "emails": [{}]}),
        ] {
            assert!(!Arc::ptr_eq(encode(&other).shape(), first.shape()), "{other}");
        }
        let with_null = encode(&json!({"schemas": ["a", null, "b"]}));
        let without_null = encode(&json!({"schemas": ["a", "b"]}));
        assert!(!Arc::ptr_eq(with_null.shape(), without_null.shape()));
    }

    #[test]
    fn shape_without_resources_is_dropped() {
        let user_type = user_type();
        let kept = user_with_emails(&user_type, 1);
        for count in 2..2000 {
            let dropped = user_with_emails(&user_type, count % 50 + 2);
            let shape = Arc::downgrade(dropped.shape());
            drop(dropped);
            assert!(shape.upgrade().is_none());
        }
        assert!(user_type.shapes().len() < 20, "{}", user_type.shapes().len());
        let equal = user_with_emails(&user_type, 1);
        assert!(Arc::ptr_eq(kept.shape(), equal.shape()));
        // A resource holds its type, but the type holds no resource.
        let weak_type = Arc::downgrade(&user_type);
        drop((user_type, kept));
        assert!(weak_type.upgrade().is_some());
        drop(equal);
        assert!(weak_type.upgrade().is_none());
    }

    #[test]
    fn threads_share_shapes() {
        fn encode_many(user_type: &Arc<ResourceType>, shift: usize) -> Vec<Resource> {
            let mut encoded = Vec::new();
            for number in 0..200 {
                let content = json!({"schemas": vec!["a"; (number + shift) % 100 + 1]});
                encoded.push(Resource::new(user_type, &content).unwrap());
            }
            encoded
        }
        let user_type = user_type();
        let mut all: Vec<Resource> = Vec::new();
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for number in 0..4 {
                let user_type = &user_type;
                threads.push(scope.spawn(move || encode_many(user_type, number * 13)));
            }
            for thread in threads {
                all.extend(thread.join().unwrap());
            }
        });
        let mut shapes: Vec<_> = all.iter().map(|resource| Arc::as_ptr(resource.shape())).collect();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), 100);
        for resource in &all {
            let schemas = resource.value().children().next().unwrap();
            assert!(schemas.children().all(|schema| schema.json() == "\"a\""));
        }
    }
}
