//! Stories in which two machines take part: `transcripts/*.md` are read as documents, and every command in them is executed.
//!
//! `TRYCMD=overwrite cargo test -p twine --test stories` writes what the program says today; read the difference.

#[path = "common/story.rs"]
mod story;

use story::Story;

const SCORE: &str = "tests/programs/score.wat";
const ATTEST: &str = "../../examples/attest.wat";

#[test]
fn delivery() {
    Story::new(&[("owner", &[SCORE, ATTEST]), ("host", &[ATTEST]), ("other-host", &[])]).plays("delivery.md");
}
