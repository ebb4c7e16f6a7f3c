//! Sealed compiled code, which the host keeps.

use std::sync::LazyLock;

use twine_runtime::cache::Sealer;
use twine_runtime::{Options, engine};

const ARTEFACT: &[u8] = b"native code that this very image compiled";

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    let engine = engine(Options::default()).expect("an engine");
    Sealer::new(&[1; 16], &[2; 32], &engine)
});

/// Opens as what was sealed, or not at all.
pub fn artefact(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    if let Some(opened) = SEALER.open(&mut sealed) {
        assert_eq!(opened, ARTEFACT, "another artefact opened");
    }
}

pub fn artefact_seeds() -> Vec<Vec<u8>> {
    SEALER.seal(ARTEFACT.to_vec(), [3; 12]).into_iter().chain([Vec::new(), vec![0; 28]]).collect()
}
