// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a detector took, and what it left out.

/// Makes the counters, each with the name it is told by.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64),*
        }

        impl Counters {
            /// All of them by name.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

counters! {
    /// Reports.
    reports,
    /// Their bytes.
    bytes,
    /// Reports that end before they begin; left out.
    backward,
    /// Reports older than a newer one of their flow; they count where they were sent.
    out_of_order,
    /// Reports older than any window that matters; only the flow's total has them.
    late,
    /// Reports longer than a slot, whose bytes were spread evenly.
    spread,
    /// Reports that share a slot with others for want of room.
    crowded,
    /// Reports of a flow by another exporter than the one it is read at; left out.
    other_exporter,
    /// Flows whose exporter fell silent, so that they are read at another.
    exporter_changed,
    /// Flows that began.
    flows,
    /// Flows in the table, or of any if there is none, for which there was no exact room.
    spilled,
    /// Flows that heavier ones displaced.
    displaced,
    /// Bytes of these.
    displaced_bytes,
    /// Flows found alpha.
    alpha,
    /// Flows the early rule named.
    early,
    /// Flows that ended by silence.
    ended_idle,
    /// Flows that their sender ended.
    ended_fin,
    /// Reports of flows outside the table.
    outside_reports,
    /// Bytes of these.
    outside_bytes,
    /// Flows outside the table that are alpha: they would have been seen without it.
    would_have_been_seen,
    /// Their bytes once they have ended.
    would_have_been_seen_bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_names() {
        let counters = Counters { late: 7, ..Counters::default() };
        assert!(counters.named().contains(&("late", 7)));
        assert_eq!(counters.named().iter().map(|(_, n)| n).sum::<u64>(), 7);
    }
}
