//! The memory manager.

use twine_abi::layout::{ELRANGE, PAGE_SIZE};
use twine_enclave::memory::{self, Error, Protection};

use crate::probe::{can_call, can_read, can_write};
use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] = &[
    ("memory/commit", commit),
    ("memory/touch", touch),
    ("memory/grow", grow),
    ("memory/protect", protect),
    ("memory/decommit", decommit),
    ("memory/release", release),
    ("memory/exhaustion", exhaustion),
    ("memory/fragments", fragments),
    ("memory/misuse", misuse),
];

const MIB: u64 = 1 << 20;

fn pages() -> u64 {
    memory::committed_pages().0
}

fn reserve(length: u64, protection: Protection) -> Result<u64, String> {
    memory::reserve(length, 1, true, protection).map_err(|error| format!("reserve: {error:?}"))
}

fn done(what: &str, result: Result<(), Error>) -> Verdict {
    result.map_err(|error| format!("{what}: {error:?}"))
}

fn read(address: u64) -> u64 {
    // SAFETY: the callers own readable memory there.
    unsafe { core::ptr::read_volatile(address as *const u64) }
}

fn write(address: u64, value: u64) {
    // SAFETY: the callers own writable memory there.
    unsafe { core::ptr::write_volatile(address as *mut u64, value) }
}

/// All at once, counted, zero, and not twice.
fn commit() -> Verdict {
    let at = reserve(MIB, Protection::RW)?;
    let before = pages();
    done("commit", memory::commit(at, MIB))?;
    ensure!(pages() == before + 256, "{} pages", pages() - before);
    ensure!((0..MIB).step_by(8).all(|offset| read(at + offset) == 0));
    write(at + 8, 7);
    done("commit again", memory::commit(at, MIB))?;
    ensure!(pages() == before + 256 && read(at + 8) == 7);
    ensure!(!can_read(at - 1) && !can_read(at + MIB), "there are no guards");
    done("release", memory::release(at, MIB))?;
    ensure!(pages() == before, "{} pages are left", pages() - before);
    Ok(())
}

/// By touching: in the neighbourhood of a single touch, in runs that double where accesses go upwards.
fn touch() -> Verdict {
    let at = reserve(64 * MIB, Protection::RW)?;
    let (before, faults) = (pages(), memory::faults());
    write(at + 32 * MIB + 40 * PAGE_SIZE, 1);
    ensure!(pages() - before == 16, "a touch committed {} pages", pages() - before);
    ensure!(read(at + 32 * MIB + 32 * PAGE_SIZE) == 0 && memory::faults() == faults + 1);
    for page in 0..16 * MIB / PAGE_SIZE {
        write(at + page * PAGE_SIZE, page);
    }
    let taken = memory::faults() - faults;
    ensure!(taken < 24, "{taken} faults for 16 MiB in sequence");
    ensure!((0..16 * MIB / PAGE_SIZE).all(|page| read(at + page * PAGE_SIZE) == page));
    done("release", memory::release(at, 64 * MIB))?;
    ensure!(pages() == before, "{} pages are left", pages() - before);
    Ok(())
}

/// A range that becomes accessible piece by piece, as a linear memory that grows: one fault a piece, wherever it begins,
/// and one region in the end.
fn grow() -> Verdict {
    const PIECE: u64 = 64 << 10;
    let reserved = reserve(17 * MIB, Protection::NONE)?;
    let at = reserved.next_multiple_of(MIB) + PAGE_SIZE;
    let faults = memory::faults();
    for piece in (0..16 * MIB).step_by(PIECE as usize) {
        done("protect", memory::protect(at + piece, PIECE, Protection::RW))?;
        // From its end, as an allocator writes the head of what is left.
        (0..PIECE / PAGE_SIZE).rev().for_each(|page| write(at + piece + page * PAGE_SIZE, page));
    }
    let taken = memory::faults() - faults;
    ensure!(taken <= 16 * MIB / PIECE, "{taken} faults");
    // The pieces are one region now: runs over them double as they do in a region that was never in pieces.
    done("decommit", memory::decommit(at, 16 * MIB))?;
    let faults = memory::faults();
    (0..16 * MIB).step_by(PAGE_SIZE as usize).for_each(|page| write(at + page, page));
    let taken = memory::faults() - faults;
    ensure!(taken <= 16, "{taken} faults of a region that was joined");
    done("release", memory::release(reserved, 17 * MIB))
}

/// What may be done follows from the protection, contents stay, and code is published without ever being writable.
fn protect() -> Verdict {
    const RET: u64 = 0xC3;
    let at = reserve(4 * PAGE_SIZE, Protection::RW)?;
    for page in 0..4 {
        write(at + page * PAGE_SIZE, RET);
    }
    let one = at + PAGE_SIZE;
    ensure!(!can_call(one), "writable memory is executable");
    for (protection, [may_read, may_write, may_call]) in [
        (Protection::R, [true, false, false]),
        (Protection::RX, [true, false, true]),
        (Protection::R, [true, false, false]),
        (Protection::NONE, [false, false, false]),
        (Protection::RX, [true, false, true]),
    ] {
        done("protect", memory::protect(one, PAGE_SIZE, protection))?;
        let got = [can_read(one), can_write(one + 64), can_call(one)];
        ensure!(got == [may_read, may_write, may_call], "{protection:?}: {got:?}");
        ensure!(can_write(at + 64) && can_write(at + 2 * PAGE_SIZE + 64), "the neighbours changed");
    }
    ensure!(read(one) == RET);
    done("protect", memory::protect(one, PAGE_SIZE, Protection::RW))?;
    ensure!(can_write(one + 64) && read(one) == RET);
    // A page that was never touched is zero under any protection.
    let fresh = reserve(PAGE_SIZE, Protection::RW)?;
    done("protect fresh", memory::protect(fresh, PAGE_SIZE, Protection::R))?;
    ensure!(can_read(fresh) && read(fresh) == 0 && !can_write(fresh));
    done("release", memory::release(at, 4 * PAGE_SIZE))?;
    done("release", memory::release(fresh, PAGE_SIZE))
}

/// Pages go, addresses stay, and contents never come back.
fn decommit() -> Verdict {
    // Under a protection that the fresh page does not come with.
    for protection in [Protection::R, Protection::RX, Protection::NONE] {
        let at = reserve(PAGE_SIZE, Protection::RW)?;
        write(at, 1);
        done("protect", memory::protect(at, PAGE_SIZE, protection))?;
        done("decommit", memory::decommit(at, PAGE_SIZE))?;
        done("protect again", memory::protect(at, PAGE_SIZE, Protection::RW))?;
        ensure!(can_read(at) && read(at) == 0 && can_write(at), "after {protection:?}");
        done("release", memory::release(at, PAGE_SIZE))?;
    }
    let at = reserve(MIB, Protection::RW)?;
    let before = pages();
    done("commit", memory::commit(at, MIB))?;
    for page in 0..256 {
        write(at + page * PAGE_SIZE, u64::MAX);
    }
    done("decommit", memory::decommit(at + 64 * PAGE_SIZE, 128 * PAGE_SIZE))?;
    ensure!(pages() == before + 128, "{} pages", pages() - before);
    let there = |page: u64| !(64..192).contains(&page);
    for page in 0..256 {
        let expected = if there(page) { u64::MAX } else { 0 };
        ensure!(read(at + page * PAGE_SIZE) == expected, "page {page}");
    }
    done("decommit nothing", memory::decommit(at, MIB).and_then(|()| memory::decommit(at, MIB)))?;
    ensure!(pages() == before, "{} pages are left", pages() - before);
    done("release", memory::release(at, MIB))
}

/// A hole in the middle: both sides stay, the hole is gone, and its addresses serve again.
fn release() -> Verdict {
    let at = reserve(MIB, Protection::RW)?;
    let hole = at + 100 * PAGE_SIZE;
    write(hole - 8, 1);
    write(hole, 2);
    write(hole + PAGE_SIZE, 3);
    done("release", memory::release(hole, PAGE_SIZE))?;
    ensure!(!can_read(hole) && !can_write(hole + 8) && read(hole - 8) == 1 && read(hole + PAGE_SIZE) == 3);
    ensure!(memory::commit(at, MIB) == Err(Error::Invalid), "a commit over a hole");
    ensure!(memory::protect(at, MIB, Protection::R) == Err(Error::Invalid), "a protect over a hole");
    // Parts and gaps may go in one piece.
    done("release the rest", memory::release(at, MIB))?;
    ensure!(!can_read(at) && !can_read(at + MIB - 1));
    Ok(())
}

/// Addresses run out, which is an error and nothing worse, and come back.
fn exhaustion() -> Verdict {
    ensure!(memory::reserve(ELRANGE, 1, false, Protection::RW) == Err(Error::Exhausted));
    ensure!(memory::reserve(ELRANGE + 1, 1, false, Protection::RW) == Err(Error::Invalid));
    for round in 0..2 {
        let mut all = Vec::new();
        while let Ok(at) = memory::reserve(32 << 30, 1, true, Protection::NONE) {
            all.push(at);
        }
        ensure!((12..16).contains(&all.len()), "round {round}: {} times 32 GiB", all.len());
        ensure!(memory::reserve(32 << 30, 1, true, Protection::RW) == Err(Error::Exhausted));
        // Small ones still find a place.
        let small = reserve(PAGE_SIZE, Protection::RW)?;
        write(small, 1);
        done("release", memory::release(small, PAGE_SIZE))?;
        for at in all {
            done("release", memory::release(at, 32 << 30))?;
        }
    }
    Ok(())
}

/// Many small changes leave nothing behind.
fn fragments() -> Verdict {
    let before = pages();
    let at = reserve(8 * MIB, Protection::RW)?;
    done("commit", memory::commit(at, 8 * MIB))?;
    for protection in [Protection::R, Protection::RW] {
        for page in (0..8 * MIB / PAGE_SIZE).step_by(32) {
            done("protect", memory::protect(at + page * PAGE_SIZE, 16 * PAGE_SIZE, protection))?;
        }
    }
    ensure!((0..8 * MIB).step_by(PAGE_SIZE as usize).all(|offset| can_write(at + offset)));
    done("release", memory::release(at, 8 * MIB))?;
    let mut places = Vec::new();
    for i in 0..2000_u64 {
        let length = (1 + i % 5) * PAGE_SIZE;
        let place = reserve(length, Protection::RW)?;
        write(place, i);
        places.push((place, length, i));
    }
    // Every other first, then the rest from the end.
    let (even, odd): (Vec<_>, Vec<_>) = places.into_iter().partition(|(.., i)| i % 2 == 0);
    for (place, length, i) in even.into_iter().chain(odd.into_iter().rev()) {
        ensure!(read(place) == i, "reservation {i} holds {}", read(place));
        done("release", memory::release(place, length))?;
    }
    // The region table keeps its own pages, and the vectors came from the heap, which grows in MiBs.
    ensure!(pages() - before <= 2 * 256 + 64, "{} pages are left", pages() - before);
    Ok(())
}

/// Arguments that make no sense are refused before anything changes.
fn misuse() -> Verdict {
    let at = reserve(4 * PAGE_SIZE, Protection::RW)?;
    let outside = 0x1000;
    for (address, length) in [
        (at + 1, PAGE_SIZE),
        (outside, PAGE_SIZE),
        (at, ELRANGE),
        (at, u64::MAX),
        (u64::MAX - 4095, PAGE_SIZE),
        (u64::MAX - 4095, u64::MAX),
    ] {
        ensure!(memory::commit(address, length) == Err(Error::Invalid), "commit {address:#x} {length:#x}");
        ensure!(memory::release(address, length) == Err(Error::Invalid), "release {address:#x} {length:#x}");
        ensure!(memory::decommit(address, length) == Err(Error::Invalid), "decommit {address:#x}");
        ensure!(
            memory::protect(address, length, Protection::R) == Err(Error::Invalid),
            "protect {address:#x}"
        );
    }
    ensure!(memory::reserve(0, 1, false, Protection::RW) == Err(Error::Invalid));
    ensure!(memory::reserve(u64::MAX, 1, false, Protection::RW) == Err(Error::Invalid));
    ensure!(can_write(at));
    done("release", memory::release(at, 4 * PAGE_SIZE))
}
