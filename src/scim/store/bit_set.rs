//! Sets of resources, elements or dictionary codes: one bit for each number.

/// Set of numbers below a length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scim) struct BitSet {
    words: Vec<u64>,
    length: usize,
}

impl BitSet {
    /// Returns the empty set.
    pub(in crate::scim) fn empty(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    /// Returns the set of all numbers below `length`.
    pub(in crate::scim) fn full(length: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; length.div_ceil(64)], length };
        if let Some(last) = bits.words.last_mut() {
            // The bits beyond the length stay 0.
            *last >>= (64 - length % 64) % 64;
        }
        bits
    }

    /// Returns the length: every number is below it.
    pub(in crate::scim) fn len(&self) -> usize {
        self.length
    }

    /// Reports whether the set contains `number`. The result is `None` if it is not below the
    /// length.
    pub(in crate::scim) fn get(&self, number: usize) -> Option<bool> {
        if number >= self.length {
            return None;
        }
        let word = self.words.get(number / 64)?;
        Some(word >> (number % 64) & 1 == 1)
    }

    pub(in crate::scim) fn insert(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(in crate::scim) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Returns the numbers in the set, in ascending order.
    pub(in crate::scim) fn numbers(&self) -> impl Iterator<Item = usize> {
        SetBits { words: self.words.iter(), bits_left: 0, word_end: 0 }
    }

    /// Adds the numbers that are in `other`.
    pub(in crate::scim) fn union_with(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Removes the numbers that are in `other`.
    pub(in crate::scim) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Removes the numbers that are not in `other`.
    pub(in crate::scim) fn intersect_with(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }
}

/// Iterator over the numbers of a set.
struct SetBits<'a> {
    words: std::slice::Iter<'a, u64>,
    /// Bits of the current word that are not returned yet.
    bits_left: u64,
    /// Number of the first bit after the current word.
    word_end: usize,
}

impl Iterator for SetBits<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.bits_left == 0 {
            self.bits_left = *self.words.next()?;
            self.word_end += 64;
        }
        let bit = self.bits_left.trailing_zeros() as usize;
        // Clears the lowest bit.
        self.bits_left &= self.bits_left - 1;
        Some(self.word_end - 64 + bit)
    }
}

/// Collects a flag for each number: whether it is in the set.
impl FromIterator<bool> for BitSet {
    fn from_iter<I: IntoIterator<Item = bool>>(flags: I) -> Self {
        let mut words = Vec::new();
        let mut word = 0;
        let mut length = 0;
        for is_in_set in flags {
            word |= u64::from(is_in_set) << (length % 64);
            length += 1;
            if length % 64 == 0 {
                words.push(word);
                word = 0;
            }
        }
        if length % 64 != 0 {
            words.push(word);
        }
        Self { words, length }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the positions of the flags that are true.
    fn positions(flags: impl Iterator<Item = bool>) -> Vec<usize> {
        flags.enumerate().filter(|(_, flag)| *flag).map(|(position, _)| position).collect()
    }

    fn changed(bits: &BitSet, other: &BitSet, change: fn(&mut BitSet, &BitSet)) -> Vec<usize> {
        let mut bits = bits.clone();
        change(&mut bits, other);
        bits.numbers().collect()
    }

    proptest! {
        #[test]
        fn operations_agree_with_flags(
            flags in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200),
        ) {
            let length = flags.len();
            let one: BitSet = flags.iter().map(|(one, _)| *one).collect();
            let other: BitSet = flags.iter().map(|(_, other)| *other).collect();
            let union = positions(flags.iter().map(|(one, other)| *one || *other));
            prop_assert_eq!(changed(&one, &other, BitSet::union_with), union);
            let difference = positions(flags.iter().map(|(one, other)| *one && !*other));
            prop_assert_eq!(changed(&one, &other, BitSet::subtract), difference);
            let intersection = positions(flags.iter().map(|(one, other)| *one && *other));
            prop_assert_eq!(changed(&one, &other, BitSet::intersect_with), intersection);
            let all: Vec<usize> = (0..length).collect();
            prop_assert_eq!(BitSet::full(length).numbers().collect::<Vec<_>>(), all);
            prop_assert_eq!(one.is_empty(), flags.iter().all(|(one, _)| !*one));
            let mut inserted = BitSet::empty(length);
            for number in one.numbers() {
                inserted.insert(number);
            }
            prop_assert_eq!(&inserted, &one);
            prop_assert_eq!(one.get(length), None);
            for (position, (flag, _)) in flags.iter().enumerate() {
                prop_assert_eq!(one.get(position), Some(*flag));
            }
        }
    }
}
