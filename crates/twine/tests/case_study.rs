//! The case study from nothing, as its script does it: banks, lender and host, what must work and what must be refused.

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs a Rust compiler for wasm32-wasip1 (examples/credit-scoring/build.sh)"]
fn parties_who_do_not_trust_each_other_score_borrowers() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/credit-scoring/demo.sh");
    let output =
        Command::new("sh").arg(script).args(["3", "500"]).env("TWINE", env!("CARGO_BIN_EXE_twine")).output();
    let output = output.unwrap();
    let [said, complained] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.ends_with("== Everything as it should be\n"), "{said}");
}
