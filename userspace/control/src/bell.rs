// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Wakes a thread that waits. Rings while nobody waits are kept, as one.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A bell.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// Wakes who waits, or who will.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Waits until it rings, at most so long.
    pub fn wait(&self, most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, most, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_ring_is_not_lost() {
        let bell = Arc::new(Bell::default());
        bell.ring();
        bell.wait(Duration::from_secs(600));
        let other = bell.clone();
        let thread = std::thread::spawn(move || other.ring());
        bell.wait(Duration::from_secs(600));
        thread.join().unwrap();
        bell.wait(Duration::from_millis(1));
    }
}
