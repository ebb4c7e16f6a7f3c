//! Trusted: the image that runs tests.
//!
//! The same crates as the image that runs programs, another main function: the run request is the name of a test, what
//! the module would be is its input. `crates/twine-enclave-tests` loads it and knows what each test should do.

// The C symbols and the rustix backend are needed by the link alone.
extern crate rustix as _;
extern crate twine_enclave_libc as _;

mod border;
mod bytes;
mod clock;
mod cpuid;
mod ends;
mod heap;
mod memory;
mod probe;
mod random;
mod spec;
mod threads;

use twine_abi::calls::{Finish, Outcome, RunRequest};
use twine_abi::wire::MAX_PAYLOAD;

/// What a test says: nothing, or what is wrong.
type Verdict = Result<(), String>;

/// Fails the test unless something holds.
macro_rules! ensure {
    ($holds:expr $(,)?) => { ensure!($holds, "{}", stringify!($holds)) };
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!("line {}: {}", line!(), format_args!($($why)+)));
        }
    };
}
pub(crate) use ensure;

type Test = (&'static str, fn() -> Verdict);

const LISTS: [&[Test]; 10] = [
    border::TESTS,
    bytes::TESTS,
    clock::TESTS,
    cpuid::TESTS,
    ends::TESTS,
    heap::TESTS,
    memory::TESTS,
    random::TESTS,
    spec::TESTS,
    threads::TESTS,
];

/// Called by `twine-enclave` on slot 0.
#[unsafe(no_mangle)]
extern "C" fn twine_main() {
    let verdict = name().and_then(|name| {
        let test = LISTS.into_iter().flatten().find(|(known, _)| *known == name);
        test.map_or_else(|| Err(format!("there is no test {name:?}")), |(_, run)| run())
    });
    let (outcome, message) = match verdict {
        Ok(()) => (Outcome::Exited, String::new()),
        Err(why) => (Outcome::Failed, why),
    };
    let finish = Finish { outcome: outcome as u64, ..Finish::default() };
    let message = &message.as_bytes()[..message.len().min(MAX_PAYLOAD)];
    let _ = twine_enclave::border::call(&finish, message, &mut []);
}

fn name() -> Result<String, String> {
    let mut bytes = [0; 256];
    let max = bytes.len() as u64;
    let (_, count) = twine_enclave::border::call(&RunRequest { offset: 0, max }, &[], &mut bytes)
        .map_err(|status| format!("the host names no test: {status:?}"))?;
    Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
}
