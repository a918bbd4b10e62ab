// SPDX-License-Identifier: GPL-2.0

//! KUnit: known answers, and the promises of the map. They run when the module is loaded.

use kernel::prelude::*;

#[kunit_tests(reuseport_stable)]
mod stable {
    use super::*;
    use crate::{
        exporter::payload_id,
        steer::{
            draw,
            load::{
                Load,
                Sum,
                EPOCH, //
            },
            member::{
                Facts,
                Member, //
            },
            place::Slot,
            siphash::SipHash,
            table::{
                Pace,
                Table, //
            },
            MEMBERS,
            NOBODY,
            SLOTS, //
        }, //
    };
    use kernel::alloc::KVVec;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
    const LAZY: Pace = Pace {
        idle: 100,
        deadline: 1000,
        bound: 0,
    };
    /// When the tests begin.
    const T0: u32 = u32::MAX - 500;

    struct Group {
        slots: KVVec<Slot>,
        members: KVVec<Member>,
        hash: SipHash,
        pace: Pace,
    }

    /// Who serves each slot.
    type Map = KVVec<u16>;

    impl Group {
        /// Members with the ids 11, 12, ... and these weights.
        fn new(weights: &[u32], pace: Pace) -> Result<Group> {
            let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;
            for _ in 0..SLOTS {
                slots.push(Slot::new(T0), GFP_KERNEL)?;
            }
            let mut members = KVVec::with_capacity(MEMBERS, GFP_KERNEL)?;
            for _ in 0..MEMBERS {
                members.push(Member::new(), GFP_KERNEL)?;
            }
            let group = Group {
                slots,
                members,
                hash: SipHash::new(KEY),
                pace,
            };
            for (handle, weight) in (0u16..).zip(weights) {
                group.add(handle, *weight);
            }
            Ok(group)
        }

        fn table(&self) -> Table<'_> {
            Table {
                slots: &self.slots,
                members: &self.members,
                hash: &self.hash,
                pace: self.pace,
            }
        }

        fn add(&self, handle: u16, weight: u32) {
            self.table().add(handle, &facts(handle, weight), T0);
        }

        fn map(&self, now: u32) -> Result<Map> {
            self.map_without(now, NOBODY)
        }

        fn map_without(&self, now: u32, avoided: u16) -> Result<Map> {
            let mut map = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;
            for slot in 0..SLOTS {
                let served = self
                    .table()
                    .lookup(digest(slot), now, |handle| handle == avoided);
                map.push(served, GFP_KERNEL)?;
            }
            Ok(map)
        }

        /// A packet for each slot, or for each `step`-th.
        fn traffic(&self, now: u32, step: usize) {
            for slot in (0..SLOTS).step_by(step) {
                self.table().select(digest(slot), now);
            }
        }
    }

    fn digest(slot: usize) -> u64 {
        (slot as u64) << 52
    }

    fn facts(handle: u16, weight: u32) -> Facts {
        Facts {
            id: u64::from(handle).wrapping_add(11),
            weight,
            drains: false,
            seq: handle.into(),
        }
    }

    fn count(map: &Map, who: u16) -> usize {
        map.iter().filter(|served| **served == who).count()
    }

    fn differ(a: &Map, b: &Map) -> usize {
        a.iter().zip(b.iter()).filter(|(a, b)| a != b).count()
    }

    /// Whether all that differs is that `from` lost its slots.
    fn only_lost(before: &Map, after: &Map, from: u16) -> bool {
        before
            .iter()
            .zip(after.iter())
            .all(|(a, b)| (*a == from) == (a != b))
    }

    #[test]
    fn siphash_known_answers() {
        let hash = SipHash::new(KEY);
        let (a, b, c) = (KEY[0], KEY[1], 0x1716_1514_1312_1110);
        assert_eq!(hash.one(a), 0x3690_9511_8d29_9a8e);
        assert_eq!(hash.two(a, b), 0xcc4f_dd1a_7d90_8b66);
        assert_eq!(hash.three(a, b, c), 0xf464_aeb2_6734_9c8c);
        // The beginning is worked out for a word of zero.
        assert_eq!(SipHash::new([0; 2]).two(0, 0), ZEROS);
    }
    const ZEROS: u64 = 0x76be_999e_3e25_b2a0;

    #[test]
    fn logarithm() {
        assert_eq!(draw::minus_log2(0), 32 << 24);
        assert_eq!(draw::minus_log2(1), 32 << 24);
        assert_eq!(draw::minus_log2(1 << 31), 1 << 24);
        assert_eq!(draw::minus_log2(1 << 30), 2 << 24);
        // log2(3) = 1.58496..., and 3 is a point of the table.
        assert_eq!(draw::minus_log2(3), (32 << 24) - 26_591_258);
        assert!(draw::minus_log2(u32::MAX) <= 1);
        let mut last = draw::minus_log2(0);
        for step in 1..=4096u32 {
            let cost = draw::minus_log2(step << 20 | 0xf_ffff);
            assert!(cost < last || step == 4096);
            last = cost;
        }
    }

    /// The map must be the same on all hosts, and in all versions of this module.
    #[test]
    fn map_known_answer() -> Result {
        let map = Group::new(&[1, 2, 3, 1, 5], LAZY)?.map(T0)?;
        let mut sum = 0u64;
        for served in map.iter() {
            sum = SipHash::new(KEY).two(sum, u64::from(*served));
        }
        assert_eq!(sum, KNOWN_MAP);
        Ok(())
    }
    const KNOWN_MAP: u64 = 0x8708_ff69_dbc8_4645;

    #[test]
    fn nobody_serves_an_empty_group() -> Result {
        let group = Group::new(&[], LAZY)?;
        assert_eq!(group.table().select(1, T0), NOBODY);
        group.add(3, 1);
        assert_eq!(group.table().select(1, T0), 3);
        group.table().remove(3, T0);
        assert_eq!(group.table().select(1, T0), NOBODY);
        Ok(())
    }

    #[test]
    fn leave_moves_the_leavers_slots_only() -> Result {
        let group = Group::new(&[1; 16], LAZY)?;
        let before = group.map(T0)?;
        // The handles of others do not matter, nor does traffic.
        group.traffic(T0, 1);
        group.table().remove(5, T0);
        let after = group.map(T0)?;
        assert!(only_lost(&before, &after, 5));
        assert_eq!(differ(&before, &after), count(&before, 5));
        // To all others, not to one.
        let heirs = (0..16)
            .filter(|who| count(&after, *who) > count(&before, *who))
            .count();
        assert_eq!(heirs, 15);
        Ok(())
    }

    #[test]
    fn join_restores_the_map() -> Result {
        let group = Group::new(&[1; 16], LAZY)?;
        let before = group.map(T0)?;
        group.table().remove(5, T0);
        let without = group.map(T0)?;
        // Back under its id, with another handle. All is idle.
        group.table().add(
            20,
            &Facts {
                seq: 77,
                ..facts(5, 1)
            },
            T0,
        );
        let after = group.map(T0)?;
        assert!(only_lost(&after, &without, 20));
        let same = before
            .iter()
            .zip(after.iter())
            .filter(|(a, b)| **a == 5 || a == b)
            .count();
        assert_eq!(same, SLOTS);
        assert_eq!(count(&before, 5), count(&after, 20));
        Ok(())
    }

    #[test]
    fn shares_follow_weights() -> Result {
        let map = Group::new(&[1, 2, 3], LAZY)?.map(T0)?;
        for (who, weight) in (0u16..).zip([1usize, 2, 3]) {
            // Four deviations of a binomial distribution, sqrt(4096 * 1/2 * 1/2) = 32.
            let expected = SLOTS.wrapping_mul(weight) / 6;
            assert!(count(&map, who).abs_diff(expected) <= 4 * 32);
        }
        Ok(())
    }

    #[test]
    fn more_weight_only_takes() -> Result {
        let group = Group::new(&[1; 8], LAZY)?;
        let before = group.map(T0)?;
        group.table().update(2, &facts(2, 3), T0);
        let after = group.map(T0)?;
        assert!(only_lost(&after, &before, 2) || count(&after, 2) > count(&before, 2));
        let moved = before.iter().zip(after.iter()).filter(|(a, b)| a != b);
        assert_eq!(moved.filter(|(_, b)| **b != 2).count(), 0);
        group.table().update(2, &facts(2, 1), T0);
        let back = group.map(T0)?;
        assert_eq!(differ(&before, &back), 0);
        Ok(())
    }

    #[test]
    fn drain_moves_at_once_and_all() -> Result {
        let group = Group::new(&[1; 8], LAZY)?;
        let before = group.map(T0)?;
        group.traffic(T0, 1);
        group.table().update(
            3,
            &Facts {
                drains: true,
                ..facts(3, 1)
            },
            T0,
        );
        let after = group.map(T0)?;
        assert!(only_lost(&before, &after, 3));
        assert_eq!(count(&after, 3), 0);
        // If all drain it is as if none did.
        for who in (0..8).filter(|who| *who != 3) {
            group.table().update(
                who,
                &Facts {
                    drains: true,
                    ..facts(who, 1)
                },
                T0,
            );
        }
        let all = group.map(T0.wrapping_add(2000))?;
        assert_eq!(differ(&before, &all), 0);
        Ok(())
    }

    #[test]
    fn no_weight_comes_last() -> Result {
        let group = Group::new(&[0, 0, 1], LAZY)?;
        assert_eq!(count(&group.map(T0)?, 2), SLOTS);
        group.table().remove(2, T0);
        let map = group.map(T0)?;
        assert!(count(&map, 0).abs_diff(SLOTS / 2) <= 4 * 32);
        assert_eq!(count(&map, 0), SLOTS.wrapping_sub(count(&map, 1)));
        Ok(())
    }

    #[test]
    fn live_slots_wait_for_silence_or_the_deadline() -> Result {
        let group = Group::new(&[1; 4], LAZY)?;
        let before = group.map(T0)?;
        group.traffic(T0, 2);
        group.add(9, 1);
        let joined = group.map(T0)?;
        // Even slots are live and stay; odd ones were never heard of.
        let moved = |map: &Map, parity| {
            (parity..SLOTS)
                .step_by(2)
                .filter(|slot| map.get(*slot) == Some(&9))
                .count()
        };
        assert_eq!(moved(&joined, 0), 0);
        assert!(moved(&joined, 1).abs_diff(SLOTS / 2 / 5) <= 4 * 18);
        let kept = (0..SLOTS)
            .step_by(2)
            .all(|slot| joined.get(slot) == before.get(slot));
        assert!(kept);
        // Asking does not count as speaking.
        let mut now = T0;
        for _ in 0..9 {
            now = now.wrapping_add(99);
            group.map(now)?;
            group.traffic(now, 2);
            assert_eq!(moved(&group.map(now)?, 0), 0);
        }
        // One slot falls silent for a moment.
        let silent = now.wrapping_add(100);
        let owned = count(&group.map(silent)?, 9);
        assert!(owned > moved(&joined, 1));
        // The others reach the deadline.
        now = now.wrapping_add(99);
        group.traffic(now, 2);
        assert_eq!(moved(&group.map(now)?, 0), 0);
        now = T0.wrapping_add(1000);
        group.traffic(now, 2);
        let late = group.map(now)?;
        assert_eq!(count(&late, 9), owned);
        assert!(only_lost(&late, &before, 9));
        Ok(())
    }

    #[test]
    fn without_patience_all_move_at_once() -> Result {
        let group = Group::new(
            &[1; 4],
            Pace {
                deadline: 0,
                ..LAZY
            },
        )?;
        group.traffic(T0, 1);
        let before = group.map(T0)?;
        group.add(9, 1);
        let after = group.map(T0)?;
        assert!(only_lost(&after, &before, 9));
        assert!(count(&after, 9) > SLOTS / 8);
        Ok(())
    }

    #[test]
    fn lagging_slot_follows_what_becomes_of_its_members() -> Result {
        let group = Group::new(&[1; 4], LAZY)?;
        group.traffic(T0, 1);
        let before = group.map(T0)?;
        group.add(9, 1);
        // Who was to get the slots leaves again: nothing has happened.
        group.table().remove(9, T0);
        let again = group.map(T0.wrapping_add(2000))?;
        assert_eq!(differ(&before, &again), 0);
        // Who still has them leaves: they go where they belong, at once.
        group.traffic(T0, 1);
        group.add(9, 1);
        group.table().remove(1, T0);
        let after = group.map(T0)?;
        assert_eq!(count(&after, 1), 0);
        assert!(only_lost(&before, &after, 1));
        assert!(count(&after, 9) > 0);
        Ok(())
    }

    #[test]
    fn the_newer_of_two_ids_has_the_share() -> Result {
        let group = Group::new(&[1; 4], LAZY)?;
        let before = group.map(T0)?;
        group.traffic(T0, 1);
        group.table().add(
            7,
            &Facts {
                seq: 8,
                ..facts(2, 1)
            },
            T0,
        );
        let both = group.map(T0)?;
        assert!(only_lost(&before, &both, 2));
        assert_eq!(count(&both, 7), count(&before, 2));
        // The older stands in if the newer drains, leaves, or will not do.
        let avoided = group.map_without(T0, 7)?;
        assert_eq!(differ(&before, &avoided), 0);
        group.table().update(
            7,
            &Facts {
                seq: 8,
                drains: true,
                ..facts(2, 1)
            },
            T0,
        );
        let drains = group.map(T0)?;
        assert_eq!(differ(&before, &drains), 0);
        group.table().update(
            7,
            &Facts {
                seq: 8,
                ..facts(2, 1)
            },
            T0,
        );
        assert_eq!(count(&group.map(T0)?, 2), 0);
        group.table().remove(7, T0);
        let left = group.map(T0)?;
        assert_eq!(differ(&before, &left), 0);
        Ok(())
    }

    #[test]
    fn a_change_of_id_is_a_change_of_slots() -> Result {
        let group = Group::new(&[1; 4], LAZY)?;
        let before = group.map(T0)?;
        group.table().update(
            1,
            &Facts {
                id: 99,
                ..facts(1, 1)
            },
            T0,
        );
        let other = group.map(T0)?;
        assert!(differ(&before, &other) > SLOTS / 8);
        group.table().update(1, &facts(1, 1), T0);
        let back = group.map(T0)?;
        assert_eq!(differ(&before, &back), 0);
        Ok(())
    }

    #[test]
    fn avoiding_is_as_if_the_member_were_not_there() -> Result {
        let group = Group::new(&[1, 2, 3, 0, 2], LAZY)?;
        let avoided = group.map_without(T0, 2)?;
        group.table().remove(2, T0);
        let gone = group.map(T0)?;
        assert_eq!(differ(&avoided, &gone), 0);
        Ok(())
    }

    #[test]
    fn load_halves_with_each_epoch() {
        let load = Load::new();
        for _ in 0..8 {
            load.count(EPOCH);
        }
        // The first of an epoch may be lost, as on several processors.
        assert_eq!(load.get(EPOCH), 8);
        assert_eq!(load.get(2 * EPOCH), 4);
        assert_eq!(load.get(100 * EPOCH), 0);
        load.count(3 * EPOCH);
        assert_eq!(load.get(3 * EPOCH), 3);
    }

    #[test]
    fn a_bound_is_a_part_of_the_share() {
        let mut sum = Sum::default();
        for (load, weight) in [(1_000_000, 1), (3_000_000, 3)] {
            sum.add(load, weight);
        }
        assert!(sum.allows(1_250_000, 1, 250));
        assert!(!sum.allows(1_250_008, 1, 250));
        assert!(sum.allows(3_750_000, 3, 250));
        assert!(!sum.allows(3_750_024, 3, 250));
        // Nobody has anything: everybody may.
        assert!(Sum::default().allows(0, 1, 250));
        // The largest of all.
        let mut sum = Sum::default();
        for _ in 0..MEMBERS {
            sum.add(u32::MAX, u32::MAX);
        }
        assert!(sum.allows(u32::MAX, u32::MAX, 1));
        assert!(!sum.allows(u32::MAX, u32::MAX / 2, 900));
    }

    #[test]
    fn bound_places_silent_slots_elsewhere_and_moves_no_live_one() -> Result {
        let group = Group::new(&[1; 4], Pace { bound: 250, ..LAZY })?;
        let free = group.map(T0)?;
        // One slot speaks much, and its member is far above its share.
        let loud = (0..SLOTS)
            .find(|slot| free.get(*slot) == Some(&1))
            .unwrap_or(0);
        for _ in 0..10_000 {
            group.table().select(digest(loud), T0);
        }
        let mut kept = true;
        for slot in (0..SLOTS).filter(|slot| *slot != loud) {
            let served = group.table().select(digest(slot), T0);
            // Who is not above its share gets what it owns, and nobody is moved by what comes later.
            kept &= served != 1 && (free.get(slot) == Some(&1) || free.get(slot) == Some(&served));
            kept &= group.table().select(digest(slot), T0.wrapping_add(1)) == served;
        }
        assert!(kept);
        assert_eq!(group.table().select(digest(loud), T0.wrapping_add(1)), 1);
        // The broken twin: without a bound all stay with their owner.
        let twin = Group::new(&[1; 4], LAZY)?;
        twin.traffic(T0, 1);
        let same = twin.map(T0)?;
        assert_eq!(differ(&free, &same), 0);
        Ok(())
    }

    #[test]
    fn ids_in_payloads() {
        let read = |bytes: [u8; 20], len: usize| {
            let part = |from: usize, to: usize| bytes.get(from..to).filter(|_| to <= len);
            payload_id(
                |offset| part(offset, offset.wrapping_add(4))?.try_into().ok(),
                || part(0, 2)?.try_into().ok(),
            )
        };
        let with = |head: [u8; 2], offset: usize| {
            let mut bytes = [0u8; 20];
            bytes[..2].copy_from_slice(&head);
            bytes[offset..offset + 4].copy_from_slice(&[1, 2, 3, 4]);
            bytes
        };
        assert_eq!(read(with([0, 10], 12), 16), Some(0x0102_0304));
        assert_eq!(read(with([0, 10], 12), 15), None);
        assert_eq!(read(with([0, 9], 16), 20), Some(0x0102_0304));
        assert_eq!(read(with([0, 9], 16), 19), None);
        assert_eq!(read(with([0x21, 12], 4), 12), Some(0x0102_0304));
        assert_eq!(read(with([0x21, 11], 4), 12), None);
        assert_eq!(read(with([0x41, 12], 4), 12), None);
        assert_eq!(read(with([0, 5], 12), 20), None);
        assert_eq!(read([0; 20], 1), None);
    }
}
