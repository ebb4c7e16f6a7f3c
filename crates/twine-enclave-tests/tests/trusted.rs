//! The enclave's own parts, tested in an enclave: memory, heap, threads, time, random numbers, the ends.

use twine_abi::calls::{Call, Outcome};
use twine_enclave_tests::{Adversary, DEBUG, PRODUCTION, Plan, Reply, load, processor, run, run_test};
use twine_host::run::End;

macro_rules! passes {
    ($($name:ident = $test:literal;)*) => {
        $(#[test]
        fn $name() {
            run_test($test).succeeds();
        })*
    };
}

passes! {
    memory_commits_at_once = "memory/commit";
    memory_commits_by_touching = "memory/touch";
    memory_grows_by_pieces = "memory/grow";
    memory_protects = "memory/protect";
    memory_decommits = "memory/decommit";
    memory_releases = "memory/release";
    memory_survives_exhaustion = "memory/exhaustion";
    memory_survives_fragments = "memory/fragments";
    memory_refuses_misuse = "memory/misuse";
    bytes_are_copied = "bytes/copy";
    bytes_are_moved = "bytes/move";
    bytes_are_filled = "bytes/fill";
    bytes_are_compared = "bytes/compare";
    heap_aligns = "heap/alignment";
    heap_refuses_what_it_cannot_have = "heap/refusal";
    heap_gives_back = "heap/trim";
    threads_join = "threads/join";
    threads_end_and_come_again = "threads/slots";
    threads_lock = "threads/locks";
    threads_wait_for_conditions = "threads/condvar";
    threads_park = "threads/park";
    threads_time_out = "threads/timeouts";
    threads_have_values_of_their_own = "threads/locals";
    threads_fault_together = "threads/faults";
    cpuid_is_answered = "cpuid/answers";
    random_numbers_differ = "random/fill";
    clock_is_monotonic = "clock/monotonic";
    clock_serves_std = "clock/std";
    calls_are_answered = "border/calls";
}

/// Each way to end: what a debug enclave says. A production enclave says the first part and nothing that a program may
/// hold.
const ENDS: [(&str, &str, &str); 11] = [
    ("ends/panic", "panicked", "the password is swordfish"),
    ("ends/panic-in-thread", "panicked", "the password is swordfish"),
    ("ends/abort", "aborted", ""),
    ("ends/ud2", "an unhandled exception", "vector 6"),
    ("ends/null", "an unhandled exception", "vector 14 (error code 0x6)"),
    ("ends/code", "an unhandled exception", "vector 14"),
    ("ends/execute-data", "an unhandled exception", "vector 14"),
    ("ends/stack-overflow", "an unhandled exception", "vector 14"),
    ("ends/misaligned-vector", "an unhandled exception", "vector 13"),
    ("ends/divide", "an unhandled exception", "vector 0"),
    ("heap/out-of-memory", "out of memory", "35184372088832 bytes"),
];

#[test]
fn a_debug_enclave_says_how_it_ended() {
    for (test, public, detail) in ENDS {
        let ran = run_test(test);
        let said = ran.last_words().unwrap_or_else(|| panic!("{test}: {:?}", ran.report.end));
        assert!(said.starts_with(public) && said.contains(detail), "{test}: {said}");
        // The end has a place: a line of source, or an offset for addr2line.
        let place = said.contains("addr2line")
            || said.contains(".rs:")
            || public == "aborted"
            || public == "out of memory";
        assert!(place, "{test}: {said}");
    }
}

#[test]
fn a_production_enclave_says_that_it_ended_and_no_more() {
    for (test, public, _) in ENDS {
        let ran = run(&load(&processor(), PRODUCTION), test.into(), Vec::new());
        assert_eq!(ran.last_words(), Some(public), "{test}");
        assert_eq!(String::from_utf8_lossy(&ran.log), "", "{test}");
    }
}

/// A host whose clocks go wherever they like.
struct Liar(fastrand::Rng);

impl Plan for Liar {
    fn reply(&mut self, reply: &mut Reply<'_>) {
        if reply.call == Call::Clock {
            let honest = reply.word(1);
            let lie = match self.0.u32(..6) {
                0 => 0,
                1 => honest / 2,
                2 => honest.wrapping_add(1 << 40),
                3 => self.0.u64(..),
                4 => u64::MAX,
                _ => honest,
            };
            reply.set_word(1, lie);
            reply.set_word(2, self.0.u64(..));
        }
    }
}

#[test]
fn no_clock_of_the_host_makes_time_run_backwards() {
    for seed in 0..8 {
        let liar = Liar(fastrand::Rng::with_seed(seed));
        let ran = run(
            &as_enclave(Adversary::new(load(&processor(), DEBUG), liar)),
            b"clock/monotonic".to_vec(),
            Vec::new(),
        );
        match &ran.report.end {
            // Time may stand still when the host has once said that it is late.
            End::Finished { message, .. } if message.contains("time stands still") => {}
            _ => ran.succeeds(),
        }
    }
}

fn as_enclave<P: Plan + 'static>(
    adversary: Adversary<P>,
) -> std::sync::Arc<dyn twine_host::backend::Enclave> {
    std::sync::Arc::new(adversary)
}

#[test]
fn a_request_to_stop_reaches_a_busy_thread() {
    let ran = twine_enclave_tests::run_with(
        &load(&processor(), DEBUG),
        b"border/stop".to_vec(),
        Vec::new(),
        |job| {
            job.timeout = Some(std::time::Duration::from_millis(20));
        },
    );
    // It exits with 0, and the host says why it did.
    let stopped = End::Finished { outcome: Outcome::Stopped, code: 0, message: String::new() };
    assert_eq!(ran.report.end, stopped);
}

#[test]
fn an_unknown_test_fails() {
    let ran = run_test("none");
    assert!(matches!(&ran.report.end, End::Finished { message, .. } if message.contains("no test")));
}
