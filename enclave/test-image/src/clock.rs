//! Time, which is the host's word; these tests run with hosts that lie.

use std::time::{Duration, Instant, SystemTime};

use twine_enclave::clock;

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] = &[("clock/monotonic", monotonic), ("clock/std", standard)];

/// Never backwards, over many syncs with the host.
fn monotonic() -> Verdict {
    let (mut last, mut changes) = (clock::monotonic(), 0);
    for read in 0..20_000 {
        let now = clock::monotonic();
        ensure!(now >= last, "read {read}: {now} after {last}");
        changes += u32::from(now != last);
        last = now;
    }
    let _ = clock::realtime();
    ensure!(changes > 0, "time stands still");
    Ok(())
}

fn standard() -> Verdict {
    let start = Instant::now();
    let mut last = start.elapsed();
    while start.elapsed() < Duration::from_millis(5) {
        let now = start.elapsed();
        ensure!(now >= last);
        last = now;
    }
    ensure!(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).is_ok());
    Ok(())
}
