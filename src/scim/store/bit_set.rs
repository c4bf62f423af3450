//! Sets of resources, elements or values, by their numbers: one bit for each.

/// A set of numbers below a length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scim) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    pub(in crate::scim) fn none(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    pub(in crate::scim) fn all(length: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; length.div_ceil(64)], length };
        if let Some(last) = bits.words.last_mut() {
            // What is beyond the length must not be counted.
            *last >>= (64 - length % 64) % 64;
        }
        bits
    }

    /// The numbers are below this.
    pub(in crate::scim) fn len(&self) -> usize {
        self.length
    }

    pub(in crate::scim) fn get(&self, number: usize) -> Option<bool> {
        (number < self.length).then(|| self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1))
    }

    pub(in crate::scim) fn insert(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(in crate::scim) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Its numbers, ascending.
    pub(in crate::scim) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(place, word)| {
            let first = Some(*word).filter(|word| *word != 0);
            let rest = std::iter::successors(first, |word| Some(word & (word - 1)).filter(|word| *word != 0));
            rest.map(move |word| place * 64 + word.trailing_zeros() as usize)
        })
    }

    /// Adds what is in `other`.
    pub(in crate::scim) fn add(&mut self, other: &Self) {
        self.with(other, |one, other| one | other);
    }

    /// Takes away what is in `other`.
    pub(in crate::scim) fn remove(&mut self, other: &Self) {
        self.with(other, |one, other| one & !other);
    }

    /// Keeps what is in `other` too.
    pub(in crate::scim) fn keep(&mut self, other: &Self) {
        self.with(other, |one, other| one & other);
    }

    fn with(&mut self, other: &Self, combine: impl Fn(u64, u64) -> u64) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word = combine(*word, *other);
        }
    }
}

/// For each number whether it is in the set.
impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(iterator: I) -> Self {
        let mut bits = Self { words: Vec::new(), length: 0 };
        let (mut word, mut length) = (0, 0);
        for holds in iterator {
            word |= u64::from(holds) << (length % 64);
            length += 1;
            if length % 64 == 0 {
                bits.words.push(word);
                word = 0;
            }
        }
        if length % 64 != 0 {
            bits.words.push(word);
        }
        Self { length, ..bits }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_a_set(pairs in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
            let one: Bits = pairs.iter().map(|(one, _)| *one).collect();
            let other: Bits = pairs.iter().map(|(_, other)| *other).collect();
            let numbers = |holds: &dyn Fn(bool, bool) -> bool| -> Vec<usize> {
                pairs.iter().enumerate().filter(|(_, (one, other))| holds(*one, *other)).map(|(place, _)| place).collect()
            };
            let changed = |change: &dyn Fn(&mut Bits, &Bits)| -> Vec<usize> {
                let mut bits = one.clone();
                change(&mut bits, &other);
                bits.numbers().collect()
            };
            prop_assert_eq!(changed(&Bits::add), numbers(&|one, other| one || other));
            prop_assert_eq!(changed(&Bits::remove), numbers(&|one, other| one && !other));
            prop_assert_eq!(changed(&Bits::keep), numbers(&|one, other| one && other));
            prop_assert_eq!(Bits::all(pairs.len()).numbers().collect::<Vec<_>>(), numbers(&|_, _| true));
            prop_assert_eq!(one.is_empty(), numbers(&|one, _| one).is_empty());
            let mut inserted = Bits::none(pairs.len());
            one.numbers().for_each(|number| inserted.insert(number));
            prop_assert_eq!(&inserted, &one);
            prop_assert_eq!(one.get(pairs.len()), None);
            prop_assert!(pairs.iter().enumerate().all(|(place, (holds, _))| one.get(place) == Some(*holds)));
        }
    }
}
