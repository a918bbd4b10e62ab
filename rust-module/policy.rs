// SPDX-License-Identifier: GPL-2.0

//! The policy: the map of a group, its parameters, and the kernel's clock.

use kernel::{
    alloc::KVVec,
    net::reuseport::{
        feature,
        key,
        Flow,
        Handle,
        MemberInfo,
        Op,
        Params,
        Policy,
        Writer, //
    },
    prelude::*,
    time::{
        jiffies_64,
        msecs_to_jiffies, //
    }, //
};

use crate::{
    exporter,
    steer::{
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
        SLOTS, //
    }, //
};

/// A slot is idle, unless told otherwise, if it missed the time in which IPFIX and NetFlow v9
/// exporters send their templates again by default.
const IDLE_MS: u32 = 600_000;
/// After an hour a slot goes where it belongs, unless told otherwise.
const DEADLINE_MS: u32 = 3_600_000;
/// A tick is the longest power of two of jiffies that is not longer than this.
const TICK_MS: u32 = 256;

/// The map of one group, and all that it needs: nothing is allocated later.
pub(crate) struct Stable {
    slots: KVVec<Slot>,
    members: KVVec<Member>,
    hash: SipHash,
    pace: Pace,
    keys: u32,
    clock: Clock,
}

impl Stable {
    #[inline(always)]
    fn table(&self) -> Table<'_> {
        Table {
            slots: &self.slots,
            members: &self.members,
            hash: &self.hash,
            pace: self.pace,
        }
    }

    /// Who gets a flow.
    #[inline(always)]
    fn choose(&self, flow: &Flow<'_>) -> u16 {
        if self.keys == key::SADDR && flow.op() == Op::Select && !flow.avoids_any() {
            let (digest, now) = (exporter::address(&self.hash, flow), self.clock.now());
            if let Some(served) = self.table().again(digest, now) {
                return served;
            }
            return self.select(digest, now);
        }
        self.ask(*flow)
    }

    /// Not part of [`Stable::choose`], which has little to keep and nothing to call.
    #[inline(never)]
    fn select(&self, digest: u64, now: u32) -> u16 {
        self.table().select(digest, now)
    }

    /// Who gets a flow that is no packet, or that is named by more than its address.
    #[inline(never)]
    fn ask(&self, flow: Flow<'_>) -> u16 {
        let digest = exporter::digest(&self.hash, self.keys, &flow);
        let now = self.clock.now();
        if flow.op() == Op::Select && !flow.avoids_any() {
            return self.table().select(digest, now);
        }
        // A question, or a flow whose exporter has not spoken just now.
        self.table().lookup(digest, now, |handle| {
            Handle::new(handle).is_some_and(|handle| flow.avoids(handle))
        })
    }
}

fn facts(info: &MemberInfo<'_>) -> Facts {
    Facts {
        id: info.id(),
        weight: info.weight(),
        drains: info.drains(),
        seq: info.seq(),
    }
}

#[vtable]
impl Policy for Stable {
    const NAME: &'static CStr = c"stable";
    const KEYS: u32 = exporter::KEYS;
    const FEATURES: u32 = feature::LAZY | feature::BOUND;

    type Data = KVBox<Stable>;

    fn init(params: &Params<'_>) -> Result<KVBox<Stable>> {
        let clock = Clock::new();
        let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..SLOTS {
            slots.push(Slot::new(clock.now()), GFP_KERNEL_ACCOUNT)?;
        }
        let mut members = KVVec::with_capacity(MEMBERS, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..MEMBERS {
            members.push(Member::new(), GFP_KERNEL_ACCOUNT)?;
        }
        let or = |value, default| if value == 0 { default } else { value };
        let stable = Stable {
            slots,
            members,
            hash: SipHash::new(params.seed().words()),
            pace: Pace {
                idle: clock.ticks(or(params.idle_ms(), IDLE_MS)),
                deadline: clock.ticks(or(params.deadline_ms(), DEADLINE_MS)),
                bound: params.bound(),
            },
            keys: params.key() | key::SADDR,
            clock,
        };
        Ok(KVBox::new(stable, GFP_KERNEL_ACCOUNT)?)
    }

    fn member_add(
        this: &Stable,
        _writer: &mut Writer<'_>,
        handle: Handle,
        info: &MemberInfo<'_>,
    ) -> Result {
        let now = this.clock.now();
        if this.table().add(handle.get(), &facts(info), now) {
            Ok(())
        } else {
            Err(ENOSPC)
        }
    }

    fn member_update(
        this: &Stable,
        _writer: &mut Writer<'_>,
        handle: Handle,
        info: &MemberInfo<'_>,
    ) {
        this.table()
            .update(handle.get(), &facts(info), this.clock.now());
    }

    fn member_remove(this: &Stable, _writer: &mut Writer<'_>, handle: Handle) {
        this.table().remove(handle.get(), this.clock.now());
    }

    #[inline(always)]
    fn select(this: &Stable, flow: &Flow<'_>) -> Option<Handle> {
        Handle::new(this.choose(flow))
    }
}

/// Coarse time: jiffies without their lower bits.
struct Clock {
    shift: u32,
}

impl Clock {
    fn new() -> Self {
        Clock {
            shift: msecs_to_jiffies(TICK_MS).checked_ilog2().unwrap_or(0),
        }
    }

    /// The tick.
    #[inline(always)]
    fn now(&self) -> u32 {
        (jiffies_64() >> (self.shift & 63)) as u32
    }

    /// Milliseconds in whole ticks.
    fn ticks(&self, ms: u32) -> u32 {
        let ticks = msecs_to_jiffies(ms) >> (self.shift & 63);
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}
