// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A hook for tests: the process kills itself, as `kill -9` would, before or after a named call to the
//! outside. Nothing is flushed, nothing is told. It does nothing unless it is asked for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A call to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// A circuit is reserved: requested to held.
    Reserve,
    /// It is committed: held to committed.
    Commit,
    /// It is provisioned: committed to provisioned.
    Provision,
    /// Its end is moved.
    Extend,
    /// It is released: up to released.
    Release,
    /// It is given back: any to down.
    Terminate,
    /// All circuits are listed.
    List,
    /// Rules are put onto a router: pending to installed.
    Install,
    /// Rules are taken off a router: withdrawing to absent.
    Withdraw,
    /// A router is read back.
    ReadBack,
    /// Records are appended to the journal.
    Append,
    /// The journal is written anew.
    Compact,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Reserve,
        Self::Commit,
        Self::Provision,
        Self::Extend,
        Self::Release,
        Self::Terminate,
        Self::List,
        Self::Install,
        Self::Withdraw,
        Self::ReadBack,
        Self::Append,
        Self::Compact,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserve => "circuit-reserve",
            Self::Commit => "circuit-commit",
            Self::Provision => "circuit-provision",
            Self::Extend => "circuit-extend",
            Self::Release => "circuit-release",
            Self::Terminate => "circuit-terminate",
            Self::List => "circuit-list",
            Self::Install => "route-install",
            Self::Withdraw => "route-withdraw",
            Self::ReadBack => "route-read",
            Self::Append => "store-append",
            Self::Compact => "store-compact",
        }
    }
}

/// Before or after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nothing has been asked.
    Before,
    /// It was done, and nothing of it is known here.
    After,
}

/// Where to die: `NAME:before`, `NAME:after`, and `:N` for not the first time but the Nth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// At this call.
    pub point: Point,
    /// On this side of it.
    pub side: Side,
    /// The how manieth time, from 1.
    pub time: u64,
}

/// No place to die at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no NAME:before or NAME:after, with :N for the Nth time; names are {names}", names = names())]
pub struct BadPlace(pub String);

fn names() -> String {
    Point::ALL.map(Point::name).join(", ")
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace(text.to_owned());
        let mut parts = text.split(':');
        let (name, side) = (parts.next().ok_or_else(bad)?, parts.next().ok_or_else(bad)?);
        let point = Point::ALL.into_iter().find(|point| point.name() == name).ok_or_else(bad)?;
        let side = match side {
            "before" => Side::Before,
            "after" => Side::After,
            _ => return Err(bad()),
        };
        let time = parts.next().map_or(Ok(1), |time| time.parse().map_err(|_| bad()))?;
        if time == 0 || parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self { point, side, time })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.side == Side::Before { "before" } else { "after" };
        write!(f, "{}:{side}:{}", self.point.name(), self.time)
    }
}

/// Dies there, once it is asked to; shared by all who call to the outside.
#[derive(Clone, Debug, Default)]
pub struct Crash(Option<Arc<(Place, AtomicU64)>>);

impl Crash {
    /// One that dies there.
    pub fn at(place: Place) -> Self {
        Self(Some(Arc::new((place, AtomicU64::new(0)))))
    }

    /// Called on either side of a call. Does not return if this is the place.
    pub fn pass(&self, point: Point, side: Side) {
        let Some(shared) = &self.0 else { return };
        let (place, times) = &**shared;
        if place.point != point || place.side != side {
            return;
        }
        if times.fetch_add(1, Ordering::SeqCst) + 1 == place.time {
            let me = rustix::process::getpid();
            // It cannot be refused, and does not return.
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_names() {
        for point in Point::ALL {
            for side in ["before", "after"] {
                let place: Place = format!("{}:{side}", point.name()).parse().unwrap();
                assert_eq!((place.point, place.time), (point, 1));
                assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
        for bad in ["", "circuit-reserve", "x:before", "circuit-reserve:then", "route-read:after:0"]
        {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn whoever_is_not_asked_to_lives() {
        Crash::default().pass(Point::Append, Side::Before);
        let crash = Crash::at("store-append:after:2".parse().unwrap());
        crash.pass(Point::Append, Side::Before);
        crash.pass(Point::Compact, Side::After);
        crash.pass(Point::Append, Side::After);
    }
}
