//! A program's pointers: nothing outside of the buffers that it named is touched, whatever it names. (A runtime of the
//! field checks the lengths that the program claims and then writes fields beyond them.)

mod common;

use common::{BUF, BUF_LEN, Enclave, FUNCTIONS, Length, Program, RECORD, Random, USED};
use twine_wasi::{Fault, Stopped};

const TOOBIG: u32 = 1;
const RANGE: u32 = 68;

/// Everything but the ranges, which are blanked.
fn rest(program: &mut Program, ranges: &[(u32, u32)]) -> Vec<u8> {
    let mut memory = program.memory().to_vec();
    for (at, len) in ranges {
        memory[*at as usize..(*at + *len) as usize].fill(0);
    }
    memory
}

#[test]
fn short_buffers_get_the_length_and_nothing_else() {
    let enclave = Enclave::new();
    let evidence = Program::in_enclave(&enclave).collect(b"program data", b"").unwrap();
    let sealed = Program::in_enclave(&enclave).seal(0, b"", b"secret").unwrap();
    let mut program = Program::in_enclave(&enclave);
    let input = program.put(b"program data");
    let (given, policy, sealed) =
        (program.put(&evidence), program.put(enclave.policy().as_bytes()), program.put(&sealed));
    let none = [0_u64, 0];
    let verify = [&given[..], &none, &policy, &none, &[0, RECORD.into()]].concat();
    let cases: Vec<(&str, Vec<u64>, u32)> = vec![
        ("evidence_collect", [input, none].concat(), evidence.len() as u32),
        ("evidence_verify", verify, 12),
        ("evidence_parse", [&given[..], &[RECORD.into()]].concat(), 12),
        ("seal", [&[1][..], &none, &input].concat(), 92),
        ("unseal", [none, sealed].concat(), 6),
    ];
    for (name, inputs, needed) in cases {
        for len in [0, 1, needed - 1] {
            let before = rest(&mut program, &[(USED, 4)]);
            let args = [&inputs[..], &[BUF.into(), len.into(), USED.into()]].concat();
            assert_eq!(program.call(name, &args).unwrap(), RANGE, "{name} with {len}");
            // Signatures in DER aside, evidence has the same length each time.
            let used = program.used();
            assert!(
                used == needed || name == "evidence_collect" && used.abs_diff(needed) < 16,
                "{name}: {used}"
            );
            assert!(rest(&mut program, &[(USED, 4)]) == before, "{name} with {len} wrote elsewhere");
        }
        let before = rest(&mut program, &[(USED, 4), (BUF, needed + 16), (RECORD, 224)]);
        let args = [&inputs[..], &[BUF.into(), u64::from(needed) + 16, USED.into()]].concat();
        assert_eq!(program.call(name, &args).unwrap(), 0, "{name}");
        let after = rest(&mut program, &[(USED, 4), (BUF, needed + 16), (RECORD, 224)]);
        assert!(after == before, "{name} wrote elsewhere");
    }
}

#[test]
fn the_reason_of_a_failure_can_be_asked_for_in_two_steps() {
    let mut program = Program::in_enclave(&Enclave::new());
    let (_, message) = program.seal(9, b"", b"").unwrap_err();
    assert!(message.contains("9 is not known"), "{message}");
    assert_eq!(program.call("message", &[BUF.into(), 0, USED.into()]).unwrap(), RANGE);
    assert_eq!(program.used() as usize, message.len());
    assert_eq!(program.message(), message);
}

#[test]
fn wild_pointers_end_the_program_before_anything_is_done() {
    let end = 64 << 16;
    let max = u64::from(u32::MAX);
    for (name, params, pointers) in FUNCTIONS {
        for (at, len) in [(end, 1), (end - 1, 2), (max, 1), (max, max), (1, end)] {
            for (pointer, length) in *pointers {
                // All other pointers are right.
                let mut args: Vec<u64> = vec![0; *params];
                args[*pointer] = at;
                match length {
                    Length::Parameter(index) => args[*index] = len,
                    Length::Fixed(fixed) if at + u64::from(*fixed) <= end => continue,
                    Length::Fixed(_) => {}
                }
                let mut program = Program::in_enclave(&Enclave::new());
                let error = program.call(name, &args).unwrap_err();
                assert!(error.is::<Fault>(), "{name} {args:?}: {error:?}");
                assert!(program.memory().iter().all(|byte| *byte == 0), "{name} {args:?} wrote");
            }
        }
    }
}

/// Arguments at random, mostly near each other and near the end: no panic, and no byte changes but in the buffers.
#[test]
fn whatever_a_program_passes_only_its_buffers_change() {
    let enclave = Enclave::new();
    let evidence = Program::in_enclave(&enclave).collect(b"data", b"").unwrap();
    let sealed = Program::in_enclave(&enclave).seal(1, b"", b"data").unwrap();
    let mut random = Random::new();
    let pages = 8;
    let end = u64::from(pages) << 16;
    for round in 0..100 {
        let mut program = Program::with_pages(&enclave, pages);
        let given = [program.put(&evidence), program.put(enclave.policy().as_bytes()), program.put(&sealed)];
        let (name, params, pointers) = FUNCTIONS[random.next() as usize % FUNCTIONS.len()];
        let mut args: Vec<u64> = Vec::new();
        while args.len() < params {
            match random.next() % 8 {
                0 => args.push(random.next()),
                1 => args.push(end - random.next() % 300),
                2 | 3 => args.extend(given[random.next() as usize % given.len()]),
                4 => args.push(random.next() % 300),
                5 => args.push(random.next() % end),
                _ => args.extend([u64::from(BUF), u64::from(BUF_LEN)]),
            }
        }
        args.truncate(params);
        let before = program.memory().to_vec();
        let _ = program.call(name, &args);
        let after = program.memory().to_vec();
        let low = |index: usize| args[index] & u64::from(u32::MAX);
        let allowed: Vec<_> = pointers
            .iter()
            .map(|(pointer, length)| match length {
                Length::Parameter(index) => (low(*pointer), low(*index)),
                Length::Fixed(len) => (low(*pointer), u64::from(*len)),
            })
            .collect();
        let allowed = &allowed[inputs(name)..];
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            let at = at as u64;
            let inside = || allowed.iter().any(|(from, len)| (*from..from + len).contains(&at));
            assert!(before == after || inside(), "round {round}: {name} {args:x?} changed byte {at:#x}");
        }
    }
}

/// How many of a function's pointers are inputs: they come first.
fn inputs(name: &str) -> usize {
    match name {
        "identity" | "message" => 0,
        "evidence_parse" => 1,
        "evidence_verify" => 4,
        _ => 2,
    }
}

#[test]
fn inputs_over_their_limits_are_refused() {
    let mut program = Program::with_pages(&Enclave::new(), 1100);
    let out = [u64::from(BUF), u64::from(BUF_LEN), u64::from(USED)];
    let at = u64::from(BUF);
    let record = u64::from(RECORD);
    let none = [0_u64, 0];
    let cases: Vec<(&str, Vec<u64>, &str)> = vec![
        ("evidence_collect", [&[at, 4097][..], &none, &out].concat(), "the data"),
        ("evidence_collect", [&none[..], &[at, 65], &out].concat(), "the nonce"),
        ("evidence_parse", [&[at, 32769, record][..], &out].concat(), "the evidence"),
        (
            "evidence_verify",
            [&[at, 32769][..], &none, &none, &none, &[0, record], &out].concat(),
            "the evidence",
        ),
        (
            "evidence_verify",
            [&none[..], &none, &[at, (1 << 20) + 1], &none, &[0, record], &out].concat(),
            "the policy",
        ),
        (
            "evidence_verify",
            [&none[..], &none, &none, &[at, (1 << 20) + 1], &[0, record], &out].concat(),
            "the collateral",
        ),
        ("seal", [&[0, at, 4097][..], &none, &out].concat(), "the associated data"),
        ("seal", [&[0][..], &none, &[at, (64 << 20) - 79], &out].concat(), "the data"),
        ("unseal", [&none[..], &[at, (64 << 20) + 1], &out].concat(), "the sealed data"),
    ];
    for (name, args, what) in cases {
        assert_eq!(program.call(name, &args).unwrap(), TOOBIG, "{name}: {what}");
        let message = program.message();
        assert!(message.starts_with(what) && message.contains("at most"), "{message}");
    }
}

#[test]
fn results_may_be_written_over_inputs() {
    let mut program = Program::in_enclave(&Enclave::new());
    let at = BUF as usize;
    program.memory()[at..at + 6].copy_from_slice(b"secret");
    let in_place = [u64::from(BUF), 6, u64::from(BUF), BUF_LEN.into(), USED.into()];
    assert_eq!(program.call("seal", &[&[0, 0, 0][..], &in_place].concat()).unwrap(), 0);
    let len = u64::from(program.used());
    let in_place = [u64::from(BUF), len, u64::from(BUF), BUF_LEN.into(), USED.into()];
    assert_eq!(program.call("unseal", &[&[0, 0][..], &in_place].concat()).unwrap(), 0);
    assert_eq!(program.result(), b"secret");
}

#[test]
fn a_run_that_is_to_end_ends_at_a_call() {
    let enclave = Enclave::new();
    let mut program = Program::in_enclave(&enclave);
    *enclave.stop.lock().unwrap() = true;
    let error = program.call("identity", &[RECORD.into()]).unwrap_err();
    assert!(error.is::<Stopped>(), "{error:?}");
}
