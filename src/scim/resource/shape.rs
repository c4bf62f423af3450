//! What resources of the same shape have in common: which values there are, in which order. It is kept once for all of
//! them, so that each keeps only where its values begin.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hashbrown::HashTable;

use crate::scim::{AttributeId, ResourceType};

/// The values of a resource, each before what it consists of; the first is the resource itself.
#[derive(Debug)]
pub(in crate::scim) struct Layout {
    kind: Arc<ResourceType>,
    nodes: Box<[Node]>,
    /// For each attribute the place of its value, which is not within an array; [`NOWHERE`] if there is none.
    places: Box<[u32]>,
}

const NOWHERE: u32 = u32::MAX;

/// A value: of which attribute, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scim) struct Node {
    /// The place of the value after it and all that is in it.
    pub(in crate::scim) after: u32,
    /// So much text is between its end and that value, or the end of the resource.
    pub(in crate::scim) tail: u32,
    pub(in crate::scim) attribute: AttributeId,
    pub(in crate::scim) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scim) enum Shape {
    /// A text that needs no escapes.
    Text,
    /// A text with escapes.
    Escaped,
    /// A text without escapes where a date-time should be.
    DateTime,
    Boolean,
    Number,
    Object,
    Array,
}

impl Layout {
    fn new(kind: &Arc<ResourceType>, nodes: &[Node]) -> Self {
        let mut places = vec![NOWHERE; kind.len()];
        note(nodes, 0, &mut places);
        Self { kind: Arc::clone(kind), nodes: nodes.into(), places: places.into() }
    }

    pub(in crate::scim) fn resource_type(&self) -> &Arc<ResourceType> {
        &self.kind
    }

    /// The value at this place, which must be one of this layout.
    #[expect(clippy::indexing_slicing, reason = "places come from the same layout, and the first is always there")]
    pub(in crate::scim) fn node(&self, place: u32) -> &Node {
        &self.nodes[place as usize]
    }

    /// Where the value of this attribute is, unless that is within an array.
    pub(in crate::scim) fn place(&self, id: AttributeId) -> Option<u32> {
        self.places.get(usize::from(id.0)).copied().filter(|place| *place != NOWHERE)
    }
}

/// Notes where the members of the object at this place are. If one is there twice, the first one counts.
fn note(nodes: &[Node], object: u32, places: &mut [u32]) {
    let node = |place: u32| nodes.get(place as usize);
    let Some(end) = node(object).map(|node| node.after) else { return };
    let mut place = object + 1;
    while let Some(member) = node(place).filter(|_| place < end) {
        if let Some(slot) = places.get_mut(usize::from(member.attribute.0)).filter(|slot| **slot == NOWHERE) {
            *slot = place;
            if member.shape == Shape::Object {
                note(nodes, place, places);
            }
        }
        place = member.after;
    }
}

/// The layouts that resources of one type have now. What no resource has any more is forgotten.
#[derive(Debug, Default)]
pub(in crate::scim) struct Layouts(Mutex<HashTable<(u64, Weak<Layout>)>>);

impl Layouts {
    /// The layout of these values, which is the same for all that have it at the same time.
    pub(in crate::scim) fn shared(&self, kind: &Arc<ResourceType>, nodes: &[Node]) -> Arc<Layout> {
        let hash = hash(nodes);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = table.iter_hash(hash).filter(|(other, _)| *other == hash).filter_map(|(_, it)| it.upgrade());
        if let Some(layout) = known.find(|layout| *layout.nodes == *nodes) {
            return layout;
        }
        if table.len() == table.capacity() {
            table.retain(|(_, layout)| layout.strong_count() > 0);
            // Room for as many again, so that tidying up stays rare.
            let more = table.len() + 1;
            table.reserve(more, |(hash, _)| *hash);
        }
        let layout = Arc::new(Layout::new(kind, nodes));
        table.insert_unique(hash, (hash, Arc::downgrade(&layout)), |(hash, _)| *hash);
        layout
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Fast, since every resource that is made is looked up; what it does not tell apart is compared.
fn hash(nodes: &[Node]) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    let hash = nodes.iter().fold(SPREAD, |hash, node| {
        let what = u64::from(node.attribute.0) << 8 | node.shape as u64;
        mix(mix(hash, what), u64::from(node.after) << 32 | u64::from(node.tail))
    });
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use std::thread;

    use serde_json::json;

    use super::*;
    use crate::scim::{Discovery, Locations, Resource};

    fn kind() -> Arc<ResourceType> {
        let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
        discovery.compiled().unwrap().user
    }

    #[test]
    fn resources_of_the_same_shape_share_a_layout_and_others_do_not() {
        let kind = kind();
        let layout = |content| {
            let resource = Resource::new(&kind, &content).unwrap();
            (Arc::as_ptr(resource.layout()), resource)
        };
        let (first, _kept) = layout(json!({"id": "1", "title": "a", "active": true}));
        for same in [
            json!({"id": "a much longer id", "title": "b", "active": false}),
            json!({"id": "2", "name": null, "title": "c", "emails": [], "active": false, "unheard": 1}),
        ] {
            assert_eq!(layout(same.clone()).0, first, "{same}");
        }
        for other in [
            json!({"id": "1", "title": "a"}),
            json!({"title": "a", "id": "1", "active": true}),
            json!({"id": "1", "title": "\"", "active": true}),
            json!({"id": "1", "title": ["a"], "active": true}),
            json!({"id": "1", "title": "a", "active": "true"}),
            json!({"id": "1", "title": "a", "active": true, "emails": [{}]}),
        ] {
            assert_ne!(layout(other.clone()).0, first, "{other}");
        }
        let null = layout(json!({"schemas": ["a", null, "b"]})).1;
        assert_ne!(Arc::as_ptr(null.layout()), layout(json!({"schemas": ["a", "b"]})).0);
    }

    #[test]
    fn what_no_resource_has_any_more_is_forgotten() {
        let kind = kind();
        let emails = |count| json!({"emails": vec![json!({"value": "a"}); count]});
        let kept = Resource::new(&kind, &emails(1)).unwrap();
        for count in 2..2000 {
            let layout = Arc::downgrade(Resource::new(&kind, &emails(count % 50 + 2)).unwrap().layout());
            assert!(layout.upgrade().is_none());
        }
        assert!(kind.layouts().len() < 20, "{}", kind.layouts().len());
        let again = Resource::new(&kind, &emails(1)).unwrap();
        assert!(Arc::ptr_eq(kept.layout(), again.layout()));
        // A resource keeps its type, and the type no resource.
        let weak = Arc::downgrade(&kind);
        drop((kind, kept));
        assert!(weak.upgrade().is_some());
        drop(again);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn layouts_are_shared_by_threads() {
        let kind = kind();
        let made = |shift: usize| {
            let kind = &kind;
            move || -> Vec<Resource> {
                let content = |number: usize| json!({"schemas": vec!["a"; (number + shift) % 100 + 1]});
                (0..200).map(|number| Resource::new(kind, &content(number)).unwrap()).collect()
            }
        };
        let all: Vec<Resource> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(made(thread * 13))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let mut layouts: Vec<_> = all.iter().map(|resource| Arc::as_ptr(resource.layout())).collect();
        layouts.sort_unstable();
        layouts.dedup();
        assert_eq!(layouts.len(), 100);
        assert!(all.iter().all(|it| it.value().parts().next().unwrap().parts().all(|one| one.json() == "\"a\"")));
    }
}
