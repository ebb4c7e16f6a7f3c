//! Rates: how many of a kind per minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Most keys that are remembered; beyond them the eldest windows go.
const KEYS: usize = 1 << 16;

/// How often those whose minute is over are looked for at most: it takes a look at every key.
const SWEEP: Duration = Duration::from_secs(1);

/// Counts per key in windows of a minute.
pub struct Rates<K>(Mutex<Windows<K>>);

struct Windows<K> {
    /// Since when, and how many.
    counts: HashMap<K, (Instant, u32)>,
    swept: Option<Instant>,
}

impl<K: Hash + Eq> Rates<K> {
    pub fn new() -> Self {
        Self(Mutex::new(Windows { counts: HashMap::new(), swept: None }))
    }

    /// Counts one more of `key`, unless its minute is full.
    pub fn take(&self, key: K, most: u32, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Windows { counts, swept } = &mut *windows;
        if counts.len() >= KEYS && swept.is_none_or(|at| now.duration_since(at) >= SWEEP) {
            counts.retain(|_, (since, _)| now.duration_since(*since) < MINUTE);
            *swept = Some(now);
        }
        if counts.len() >= KEYS && !counts.contains_key(&key) {
            // A flood of addresses: whoever is new waits.
            return false;
        }
        let (since, count) = counts.entry(key).or_insert((now, 0));
        if now.duration_since(*since) >= MINUTE {
            (*since, *count) = (now, 0);
        }
        let left = *count < most;
        *count += u32::from(left);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_of_each() {
        let (rates, start) = (Rates::new(), Instant::now());
        assert!(rates.take("a", 2, start) && rates.take("a", 2, start));
        assert!(!rates.take("a", 2, start + MINUTE - Duration::from_secs(1)));
        assert!(rates.take("b", 2, start));
        assert!(rates.take("a", 2, start + MINUTE));
        assert!(!rates.take("c", 0, start));
    }

    #[test]
    fn memory_is_bounded_and_so_is_the_work_of_a_flood() {
        let (rates, start) = (Rates::new(), Instant::now());
        for key in 0..2 * KEYS {
            rates.take(key, 1, start);
        }
        assert!(rates.0.lock().unwrap().counts.len() <= KEYS);
        assert!(rates.take(KEYS * 3, 1, start + MINUTE));
    }
}
