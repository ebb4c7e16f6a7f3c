//! Every function with arguments that mean nothing, half nothing or something: no call may panic, touch what is not
//! its business, or answer with a number that WASI does not have.

use twine_wasi::{Exit, Fault};

use crate::guest::*;
use crate::model::Random;

const MEMORY: u64 = 4 << 16;
const ROUNDS: u32 = 20_000;

#[test]
fn random_calls_never_panic() {
    let mut random = Random::seeded();
    let mut guest = Guest::new();
    let names = guest.names();
    let mut answers = std::collections::BTreeMap::new();
    for round in 0..ROUNDS {
        if round % 2000 == 0 {
            guest = furnished();
        }
        if random.below(4) == 0 {
            scatter(&mut guest, &mut random);
        }
        let name = random.pick(&names).clone();
        let count = guest.types(&name).len();
        let wide: Vec<bool> =
            guest.types(&name).iter().map(|ty| !matches!(ty, wasmtime::ValType::I32)).collect();
        let args: Vec<u64> = (0..count)
            .map(|index| if wide[index] { random.number() } else { random.number() & u64::from(u32::MAX) })
            .collect();
        let args = tame(&name, args);
        match guest.raw(&name, &args) {
            Ok(result) => *answers.entry((name, result.err().map_or(0, |errno| errno.0))).or_insert(0) += 1,
            Err(error) => {
                let known = error.downcast_ref::<Fault>().is_some() || error.downcast_ref::<Exit>().is_some();
                assert!(known, "{name} {args:?}: {error:?}");
            }
        }
    }
    let known = [0, 8, 10, 20, 22, 25, 28, 31, 32, 33, 37, 44, 51, 54, 55, 57, 58, 63, 70, 75, 76];
    for (name, errno) in answers.keys() {
        assert!(known.contains(errno), "{name} answered {errno}");
    }
    // The noise reaches what lies behind the checks, else this test shows nothing.
    let succeeded = answers.keys().filter(|(_, errno)| *errno == 0).count();
    assert!(succeeded > 15, "only {succeeded} functions ever succeeded");
}

/// Sizes that would only cost time are made small; everything else stays as it came.
fn tame(name: &str, mut args: Vec<u64>) -> Vec<u64> {
    match name {
        "fd_allocate" => args[2] %= 1 << 16,
        "fd_pwrite" => args[3] %= 1 << 20,
        _ => {}
    }
    args
}

fn furnished() -> Guest {
    let mut guest = Guest::new();
    guest.mkdir(ROOT, "d").unwrap();
    guest.file("a", b"contents");
    guest.symlink("a", ROOT, "b").unwrap();
    guest.symlink("d/..", ROOT, "c").unwrap();
    for (fd, path) in [(4, "a"), (5, "d/f")] {
        assert_eq!(guest.create(path), fd);
    }
    assert_eq!(guest.open(ROOT, 0, "d", DIRECTORY, READ, 0), Ok(6));
    guest
}

/// Paths, buffers, and noise, where small pointers find them.
fn scatter(guest: &mut Guest, random: &mut Random) {
    for slot in 0..16_u32 {
        let path =
            *random.pick(&["a", "b", "c", "d", "d/f", "c/a", "/", "..", "d/", "a/b", "new", "\0", "é", ""]);
        guest.put(slot * 16, path.as_bytes());
    }
    for _ in 0..8 {
        let at = random.below(0x400) as u32;
        let value = random.number();
        guest.put(at, &value.to_le_bytes());
    }
    let whole = guest.memory.data(&guest.store).len() as u64;
    assert_eq!(whole, MEMORY);
}
