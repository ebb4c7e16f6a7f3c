//! What a bare `fdatasync` costs now: the disk of a shared machine changes its mind.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

const TIMES: u32 = 16;

/// Seconds per write of 4 KiB that is made durable, in a folder.
pub fn probe(folder: &Path) -> Result<f64> {
    let mut file = tempfile::tempfile_in(folder).context("a file to sync")?;
    write(&mut file)?;
    let started = Instant::now();
    for _ in 0..TIMES {
        write(&mut file)?;
    }
    Ok(started.elapsed().as_secs_f64() / f64::from(TIMES))
}

fn write(file: &mut File) -> Result<()> {
    file.write_all(&[0xa5; 4096])?;
    file.sync_data().context("fdatasync")
}

/// Whether it moved by half.
pub fn moved(before: f64, after: f64) -> bool {
    after > 1.5 * before || before > 1.5 * after
}

#[cfg(test)]
mod tests {
    use super::moved;

    #[test]
    fn half_as_much_again_is_the_limit_both_ways() {
        assert!(!moved(1.0, 1.4) && !moved(1.4, 1.0));
        assert!(moved(1.0, 1.6) && moved(1.6, 1.0));
    }
}
