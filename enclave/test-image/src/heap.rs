//! The heap.

use std::alloc::{Layout, alloc_zeroed, dealloc};

use twine_enclave::{heap, memory};

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] = &[
    ("heap/alignment", alignment),
    ("heap/refusal", refusal),
    ("heap/trim", trim),
    ("heap/out-of-memory", out_of_memory),
];

fn alignment() -> Verdict {
    for shift in 0..=20 {
        for size in [1_usize, 100, 5000, 3 << 20] {
            let layout = Layout::from_size_align(size, 1 << shift).map_err(|error| error.to_string())?;
            // SAFETY: the layout is not empty; the block is used within it and freed with it.
            unsafe {
                let block = alloc_zeroed(layout);
                ensure!(
                    !block.is_null() && (block as usize).is_multiple_of(1 << shift),
                    "{layout:?}: {block:?}"
                );
                ensure!((0..size).all(|at| *block.add(at) == 0), "{layout:?} is not zero");
                block.write_bytes(0xA5, size);
                dealloc(block, layout);
            }
        }
    }
    Ok(())
}

/// What cannot be had is refused, and what can be had still is.
fn refusal() -> Verdict {
    for size in [1_usize << 40, 1 << 45, isize::MAX as usize] {
        let mut bytes = Vec::<u8>::new();
        ensure!(bytes.try_reserve_exact(size).is_err(), "{size:#x} bytes");
        ensure!(bytes.try_reserve_exact(1 << 20).is_ok());
    }
    Ok(())
}

fn trim() -> Verdict {
    let before = memory::committed_pages().0;
    let blocks: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 1 << 20]).collect();
    let full = memory::committed_pages().0;
    ensure!(full - before >= 64 * 256, "{} pages", full - before);
    drop(blocks);
    heap::trim();
    let after = memory::committed_pages().0;
    ensure!(after <= before + 4 * 256, "{} of {} pages are left", after - before, full - before);
    Ok(())
}

/// Ends the enclave.
fn out_of_memory() -> Verdict {
    let bytes = std::hint::black_box(vec![1_u8; std::hint::black_box(1 << 45)]);
    Err(format!("{} bytes were there", bytes.len()))
}
