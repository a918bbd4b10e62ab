// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Space-Saving's bounds for any weights, halved at any time.

use proptest::prelude::*;
use std::collections::BTreeMap;
use telesteer_online::space_saving::SpaceSaving;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8, u64),
    Age,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![2 => 0..6u8, 1 => any::<u8>()];
    let weight = prop_oneof![3 => 0..20u64, 1 => 0..1000u64];
    let step = prop_oneof![
        40 => (key, weight).prop_map(|(key, weight)| Step::Add(key, weight)),
        1 => Just(Step::Age),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn counts_are_between_their_bounds(steps in steps(), room in 1..20usize) {
        let mut heavy: SpaceSaving<u8, u8> = SpaceSaving::new(room);
        // Halves are exact here.
        let mut weights: BTreeMap<u8, f64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(key, weight) => {
                    let added = heavy.add(key, weight);
                    // A value stays with its key and does not go to another one.
                    prop_assert!(*added.value == 0 || *added.value == key);
                    *added.value = key;
                    if let Some((old, value)) = added.displaced {
                        prop_assert!(value == old && old != key);
                    }
                    *weights.entry(key).or_default() += weight as f64;
                }
                Step::Age => {
                    heavy.age();
                    weights.values_mut().for_each(|weight| *weight /= 2.0);
                }
            }
            prop_assert!(heavy.len() <= room);
            prop_assert!(heavy.bound() <= heavy.total() / room as u64);
            let mut sum = 0;
            for (key, weight) in &weights {
                match heavy.estimate(key) {
                    Some(known) => {
                        sum += known.count;
                        prop_assert!(known.error <= known.count);
                        prop_assert!(known.count as f64 >= *weight);
                        prop_assert!((known.count - known.error) as f64 <= *weight);
                    }
                    None => prop_assert!(*weight <= heavy.bound() as f64),
                }
            }
            prop_assert_eq!(sum, heavy.total());
            prop_assert!(heavy.total() as f64 >= weights.values().sum::<f64>());
        }
    }
}
