// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Space-Saving (Metwally, Agrawal, El Abbadi 2005) for weights, with aging: the heaviest of any number of
//! keys in a fixed number of counters.
//!
//! A key without a counter takes that of the lightest, and its count too, as its possible error. So for
//! each key with a counter `count - error <= true weight <= count`; the counts add up to the total, so
//! the lightest has at most total / counters, and no key without a counter weighs more than the lightest.
//! [`SpaceSaving::age`] halves all weights, and all of this holds for the halved ones.

use std::collections::HashMap;
use std::hash::Hash;

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// At least its weight.
    pub count: u64,
    /// By at most so much more than it.
    pub error: u64,
}

#[derive(Clone, Debug)]
struct Counter<K, V> {
    key: K,
    estimate: Estimate,
    value: V,
    /// Its place in the heap.
    place: usize,
}

/// Counters, each with a value of its key's.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K, V> {
    room: usize,
    counters: Vec<Counter<K, V>>,
    of: HashMap<K, usize>,
    /// Numbers of counters; a counter is at most as heavy as those below it.
    heap: Vec<usize>,
    total: u64,
}

/// What adding did.
#[derive(Debug)]
pub struct Added<'a, K, V> {
    /// The key's value; the default if it has just got its counter.
    pub value: &'a mut V,
    /// What is known of the key.
    pub estimate: Estimate,
    /// Whose counter it took.
    pub displaced: Option<(K, V)>,
}

impl<K: Copy + Eq + Hash, V: Default> SpaceSaving<K, V> {
    /// So many counters, at least one.
    pub fn new(room: usize) -> Self {
        let (counters, of, heap) = (Vec::new(), HashMap::new(), Vec::new());
        Self { room: room.max(1), counters, of, heap, total: 0 }
    }

    /// Adds to the weight of a key.
    pub fn add(&mut self, key: K, weight: u64) -> Added<'_, K, V> {
        self.total = self.total.saturating_add(weight);
        let mut displaced = None;
        let at = match self.of.get(&key).copied() {
            Some(at) => at,
            None if self.counters.len() < self.room => {
                let at = self.counters.len();
                let (estimate, place) = (Estimate { count: 0, error: 0 }, self.heap.len());
                self.counters.push(Counter { key, estimate, value: V::default(), place });
                self.heap.push(at);
                self.of.insert(key, at);
                self.up(place);
                at
            }
            None => {
                // There is one: there is room for at least one.
                let at = self.heap[0];
                let lightest = &mut self.counters[at];
                lightest.estimate.error = lightest.estimate.count;
                let old = std::mem::replace(&mut lightest.key, key);
                displaced = Some((old, std::mem::take(&mut lightest.value)));
                self.of.remove(&old);
                self.of.insert(key, at);
                at
            }
        };
        let estimate = &mut self.counters[at].estimate;
        estimate.count = estimate.count.saturating_add(weight);
        let estimate = *estimate;
        self.down(self.counters[at].place);
        Added { value: &mut self.counters[at].value, estimate, displaced }
    }

    /// Halves all weights.
    pub fn age(&mut self) {
        self.total = 0;
        for counter in &mut self.counters {
            let Estimate { count, error } = counter.estimate;
            let half = count.div_ceil(2);
            // What is certain is rounded down, what is possible up. Heavier ones stay heavier.
            counter.estimate = Estimate { count: half, error: half - (count - error) / 2 };
            self.total = self.total.saturating_add(half);
        }
    }

    /// What is known of a key that has a counter.
    pub fn estimate(&self, key: &K) -> Option<Estimate> {
        self.of.get(key).map(|at| self.counters[*at].estimate)
    }

    /// The value of a key that has a counter.
    pub fn value(&self, key: &K) -> Option<&V> {
        self.of.get(key).map(|at| &self.counters[*at].value)
    }

    /// The same, to change.
    pub fn value_mut(&mut self, key: &K) -> Option<&mut V> {
        self.of.get(key).map(|at| &mut self.counters[*at].value)
    }

    /// No key without a counter weighs more: at most [`Self::total`] over the number of counters.
    pub fn bound(&self) -> u64 {
        match self.heap.first() {
            Some(at) if self.counters.len() >= self.room => self.counters[*at].estimate.count,
            _ => 0,
        }
    }

    /// All weight.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counters in use.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Every key that has a counter and its value, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.counters.iter_mut().map(|counter| (counter.key, &mut counter.value))
    }

    fn weight(&self, place: usize) -> u64 {
        self.counters[self.heap[place]].estimate.count
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for place in [one, other] {
            let at = self.heap[place];
            self.counters[at].place = place;
        }
    }

    fn up(&mut self, mut place: usize) {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.weight(above) <= self.weight(place) {
                break;
            }
            self.swap(above, place);
            place = above;
        }
    }

    fn down(&mut self, mut place: usize) {
        loop {
            let below = [2 * place + 1, 2 * place + 2];
            let lighter = below
                .into_iter()
                .filter(|below| *below < self.heap.len())
                .min_by_key(|below| self.weight(*below));
            let Some(lighter) = lighter.filter(|below| self.weight(*below) < self.weight(place))
            else {
                break;
            };
            self.swap(lighter, place);
            place = lighter;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lightest_goes() {
        let mut heavy: SpaceSaving<&str, u32> = SpaceSaving::new(2);
        *heavy.add("a", 10).value = 1;
        *heavy.add("b", 3).value = 2;
        assert_eq!((heavy.bound(), heavy.len()), (3, 2));
        let added = heavy.add("c", 4);
        assert_eq!(added.displaced, Some(("b", 2)));
        assert_eq!(added.estimate, Estimate { count: 7, error: 3 });
        assert_eq!(
            (heavy.value(&"a"), heavy.value(&"b"), heavy.value(&"c")),
            (Some(&1), None, Some(&0))
        );
        assert_eq!((heavy.bound(), heavy.total()), (7, 17));
        assert_eq!(heavy.add("b", 0).estimate, Estimate { count: 7, error: 7 });
    }

    #[test]
    fn aging_keeps_the_bounds() {
        let mut heavy: SpaceSaving<u8, ()> = SpaceSaving::new(2);
        heavy.add(1, 5);
        heavy.add(2, 8);
        // 5 of unknown keys and 2 of its own.
        heavy.add(3, 2);
        heavy.age();
        let Estimate { count, error } = heavy.estimate(&3).unwrap();
        assert_eq!((count, error), (4, 3), "between 1 and 4");
        assert_eq!(heavy.estimate(&2), Some(Estimate { count: 4, error: 0 }));
        assert_eq!(heavy.total(), 8);
        assert!(heavy.bound() <= heavy.total() / 2);
        assert!(SpaceSaving::<u8, ()>::new(0).is_empty());
    }
}
