//! memcpy and its like, against loops over single bytes.

use std::hint::black_box;
use std::ptr;

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] =
    &[("bytes/copy", copy), ("bytes/move", moved), ("bytes/fill", fill), ("bytes/compare", compare)];

/// Bytes of the field that is worked in.
const FIELD: usize = 16 << 10;

/// Every short length, and the neighbours of those at which the way changes.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain([512, 1024, 3072, 4096].into_iter().flat_map(|at| at - 17..=at + 17))
}

/// Bytes that tell their places.
fn field() -> Vec<u8> {
    (0..FIELD as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// What the field is after `count` bytes from `from` were put at `to`, as if by way of a third place.
fn expected(to: usize, from: usize, count: usize) -> Vec<u8> {
    let (mut after, before) = (field(), field());
    for at in 0..count {
        // Volatile, so that it stays a loop.
        // SAFETY: the callers stay within the field.
        unsafe { ptr::write_volatile(&mut after[to + at], before[from + at]) };
    }
    after
}

fn copy() -> Verdict {
    for count in lengths() {
        for (to, from) in [(0, 8192), (8192, 1), (8193, 15), (40, 8192), (8192 + 40, 0)] {
            let mut bytes = field();
            let start = bytes.as_mut_ptr();
            // SAFETY: within the field, at least 4,113 bytes apart or shorter than that.
            unsafe { ptr::copy_nonoverlapping(start.add(from), start.add(to), black_box(count)) };
            ensure!(bytes == expected(to, from, count), "{count} bytes from {from} to {to}");
        }
    }
    Ok(())
}

fn moved() -> Verdict {
    for count in lengths() {
        for distance in [0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 1000] {
            for (to, from) in [(5000, 5000 + distance), (5000 + distance, 5000)] {
                let mut bytes = field();
                let start = bytes.as_mut_ptr();
                // SAFETY: within the field.
                unsafe { ptr::copy(start.add(from), start.add(to), black_box(count)) };
                ensure!(bytes == expected(to, from, count), "{count} bytes from {from} to {to}");
            }
        }
    }
    Ok(())
}

fn fill() -> Verdict {
    for count in lengths() {
        for to in [100, 103] {
            let mut bytes = field();
            // SAFETY: within the field.
            unsafe { bytes.as_mut_ptr().add(to).write_bytes(0xA5, black_box(count)) };
            let right = field()
                .into_iter()
                .enumerate()
                .all(|(at, old)| bytes[at] == if (to..to + count).contains(&at) { 0xA5 } else { old });
            ensure!(right, "{count} bytes at {to}");
        }
    }
    Ok(())
}

fn compare() -> Verdict {
    for count in lengths().filter(|count| *count > 0) {
        let a = field();
        for at in [0, count / 2, count - 1] {
            let mut b = field();
            ensure!(black_box(&a[..count]) == black_box(&b[..count]), "{count} bytes");
            b[at] ^= 0x80;
            ensure!(black_box(&a[..count]) != black_box(&b[..count]), "{count} bytes, {at} differs");
            ensure!((a[..count] < b[..count]) == (a[at] < b[at]), "the order of {count} bytes, {at} differs");
        }
    }
    Ok(())
}
