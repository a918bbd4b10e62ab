// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The UPDATE message, as far as FlowSpec routes are in it (RFC 4271, section 4.3; RFC 4760; RFC 7606).
//!
//! Lists that do not add up end the session. What is wrong inside an attribute that adds up makes its
//! routes be taken as withdrawn, and a route that is wrong inside is told of alone.

use super::Cursor;
use super::notification::{Fault, Notification};
use super::open::Family;
use crate::flowspec::action::{self, Action};
use crate::flowspec::nlri::{self, BadNlri, Nlri};
use std::net::IpAddr;

const AS_PATH: u8 = 2;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const COMMUNITIES: u8 = 16;
const COMMUNITIES6: u8 = 25;
/// Flag of an attribute: its length has two octets.
const LONG: u8 = 0x10;

/// A FlowSpec route, or why it is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its family.
    pub family: Family,
    /// What it matches.
    pub nlri: Result<Nlri, BadNlri>,
}

/// Why the routes of a message are taken as withdrawn (RFC 7606).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// The AS path does not add up.
    AsPath,
    /// Extended communities do not add up.
    Communities,
    /// The next hop does not add up.
    NextHop,
}

/// What a message says of FlowSpec routes. A message of 4096 octets bounds every list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Routes that hold from now on.
    pub announced: Vec<Found>,
    /// Routes that hold no more.
    pub withdrawn: Vec<Found>,
    /// What is to be done with what they match.
    pub actions: Vec<Action>,
    /// The ASes the routes came through, the last first.
    pub as_path: Vec<u32>,
    /// The routes are to be taken as withdrawn.
    pub spoilt: Option<Spoilt>,
    /// There were routes of other families, which nobody asked for.
    pub others: bool,
}

impl Update {
    /// Reads the body of a message from a speaker that writes AS numbers in four octets, or in two.
    ///
    /// # Errors
    ///
    /// What the speaker is to be told: a list does not add up.
    pub fn parse(body: &[u8], four_octet: bool) -> Result<Self, Notification> {
        let mut cursor = Cursor(body);
        let mut list = || {
            let length = cursor.u16()?;
            cursor.take(usize::from(length))
        };
        let (withdrawn, attributes) =
            list().and_then(|first| Some((first, list()?))).ok_or(Fault::Attributes)?;
        let mut update =
            Self { others: !withdrawn.is_empty() || !cursor.is_empty(), ..Self::default() };
        let (mut rest, mut seen) = (Cursor(attributes), [false; 256]);
        let mut next_hop = None;
        while !rest.is_empty() {
            let (kind, value) = attribute(&mut rest).ok_or(Fault::Attributes)?;
            if std::mem::replace(&mut seen[usize::from(kind)], true) {
                if matches!(kind, MP_REACH | MP_UNREACH) {
                    return Err(Fault::Attributes.into());
                }
                // Of others the first counts.
                continue;
            }
            match kind {
                AS_PATH => match as_path(value, four_octet) {
                    Some(path) => update.as_path = path,
                    None => update.spoil(Spoilt::AsPath),
                },
                MP_REACH => next_hop = update.reach(value)?,
                MP_UNREACH => update.unreach(value)?,
                COMMUNITIES => match action::parse(value) {
                    Some(actions) => update.actions.extend(actions),
                    None => update.spoil(Spoilt::Communities),
                },
                COMMUNITIES6 => match action::parse6(value) {
                    Some(actions) => update.actions.extend(actions),
                    None => update.spoil(Spoilt::Communities),
                },
                _ => {}
            }
        }
        update.resolve(next_hop);
        Ok(update)
    }

    fn spoil(&mut self, why: Spoilt) {
        self.spoilt.get_or_insert(why);
    }

    /// MP_REACH_NLRI; gives the next hop, if there is one.
    fn reach(&mut self, value: &[u8]) -> Result<Option<IpAddr>, Notification> {
        let mut cursor = Cursor(value);
        let (family, hop) = (|| {
            let (afi, safi, length) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
            let hop = cursor.take(usize::from(length))?;
            let _reserved = cursor.u8()?;
            Some((Family::of(afi, safi), hop))
        })()
        .ok_or(Fault::Optional)?;
        let Some(family) = family else {
            self.others = true;
            return Ok(None);
        };
        self.announced = found(family, cursor.0)?;
        match address(hop) {
            Ok(hop) => Ok(hop),
            Err(()) => {
                self.spoil(Spoilt::NextHop);
                Ok(None)
            }
        }
    }

    /// MP_UNREACH_NLRI.
    fn unreach(&mut self, value: &[u8]) -> Result<(), Notification> {
        let mut cursor = Cursor(value);
        let family = (|| Some(Family::of(cursor.u16()?, cursor.u8()?)))().ok_or(Fault::Optional)?;
        match family {
            Some(family) => self.withdrawn = found(family, cursor.0)?,
            None => self.others = true,
        }
        Ok(())
    }

    /// "To the next hop" becomes the address it stands for.
    fn resolve(&mut self, next_hop: Option<IpAddr>) {
        for one in &mut self.actions {
            if *one == Action::RedirectToNextHop {
                match next_hop {
                    Some(hop) => *one = Action::Redirect(action::Redirect::Address(hop)),
                    None => *one = Action::Other,
                }
            }
        }
    }
}

/// The next attribute: its type and its value.
fn attribute<'a>(rest: &mut Cursor<'a>) -> Option<(u8, &'a [u8])> {
    let (flags, kind) = (rest.u8()?, rest.u8()?);
    let length = if flags & LONG == 0 { u16::from(rest.u8()?) } else { rest.u16()? };
    Some((kind, rest.take(usize::from(length))?))
}

/// The ASes of all segments; none if they do not add up.
fn as_path(value: &[u8], four_octet: bool) -> Option<Vec<u32>> {
    let (mut cursor, mut path) = (Cursor(value), Vec::new());
    while !cursor.is_empty() {
        let (_kind, count) = (cursor.u8()?, cursor.u8()?);
        for _ in 0..count {
            path.push(if four_octet { cursor.u32()? } else { u32::from(cursor.u16()?) });
        }
    }
    Some(path)
}

/// The next hop. FlowSpec routes need none; of two IPv6 ones the first is the global one.
fn address(hop: &[u8]) -> Result<Option<IpAddr>, ()> {
    if hop.is_empty() {
        return Ok(None);
    }
    if let Ok(four) = <[u8; 4]>::try_from(hop) {
        return Ok(Some(four.into()));
    }
    match hop.split_first_chunk::<16>() {
        Some((six, rest)) if rest.is_empty() || rest.len() == 16 => Ok(Some((*six).into())),
        _ => Err(()),
    }
}

fn found(family: Family, routes: &[u8]) -> Result<Vec<Found>, Notification> {
    let each = nlri::split(routes).ok_or(Fault::Optional)?;
    let each = each.into_iter().map(|bytes| Found { family, nlri: Nlri::decode(family, bytes) });
    Ok(each.collect())
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
