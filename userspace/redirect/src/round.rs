// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One turn of the loop: read back, decide, apply, read back.

use crate::controller::Controller;
use crate::device::{Commit, Device};
use crate::error::DeviceError;
use telesteer_fam::Ns;

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was to be done, or nothing yet.
    Quiet,
    /// A change was made and read back.
    Changed {
        /// Rules asked for.
        added: usize,
        /// Rules asked to go.
        removed: usize,
    },
    /// A change was taken and will be in force then.
    Due(Ns),
}

/// Takes a turn at `now`.
///
/// # Errors
///
/// If the device could not be read, or refused the change. The controller knows: take the next turn.
pub fn round<D: Device + ?Sized>(
    controller: &mut Controller,
    device: &mut D,
    now: Ns,
) -> Result<Outcome, DeviceError> {
    if controller.waits_until().is_some_and(|until| now < until) {
        return Ok(Outcome::Quiet);
    }
    read(controller, device, now)?;
    let Some(change) = controller.plan(now) else { return Ok(Outcome::Quiet) };
    let result = device.apply(controller.paths(), &change, now);
    controller.applied(&result, now);
    match result? {
        Commit::Due(due) if due > now => Ok(Outcome::Due(due)),
        Commit::Done | Commit::Due(_) => {
            read(controller, device, now)?;
            Ok(Outcome::Changed { added: change.add.len(), removed: change.remove.len() })
        }
    }
}

/// Entries that [`quick`] confirms one by one; with more it reads all.
pub const FEW: usize = 64;

/// Takes a turn without reading everything: decides by what is known, applies, and confirms what was
/// asked for, where the device can tell of single rules. For entries that must be there soon; a
/// [`round`] now and then sees what else has happened to the device.
///
/// # Errors
///
/// As [`round`].
pub fn quick<D: Device + ?Sized>(
    controller: &mut Controller,
    device: &mut D,
    now: Ns,
) -> Result<Outcome, DeviceError> {
    if controller.must_read(now) {
        return round(controller, device, now);
    }
    let Some(change) = controller.plan(now) else { return Ok(Outcome::Quiet) };
    let result = device.apply(controller.paths(), &change, now);
    controller.applied(&result, now);
    match result? {
        Commit::Due(due) if due > now => return Ok(Outcome::Due(due)),
        Commit::Done | Commit::Due(_) => {}
    }
    let few = change.remove.is_empty() && !change.purge && change.add.len() <= FEW;
    let found = if few { device.find(controller.paths(), &change.add, now) } else { Ok(None) };
    let found = found.inspect_err(|_| controller.unread(now))?;
    match found {
        Some(found) => controller.observe_some(&change.add, &found, now),
        None => read(controller, device, now)?,
    }
    Ok(Outcome::Changed { added: change.add.len(), removed: change.remove.len() })
}

fn read<D: Device + ?Sized>(
    controller: &mut Controller,
    device: &mut D,
    now: Ns,
) -> Result<(), DeviceError> {
    match device.read_back(controller.paths(), now) {
        Ok(back) => {
            controller.observe(back, now);
            Ok(())
        }
        Err(error) => {
            controller.unread(now);
            Err(error)
        }
    }
}
