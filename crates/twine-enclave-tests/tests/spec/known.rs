//! Scripts that are not executed, or of which steps fail outside as well.
//!
//! All failures are of one kind: older scripts assert that the engine refuses what a later version allows.

/// A script of the list.
pub struct Known {
    /// Folder and name; a folder alone stands for all in it.
    pub script: &'static str,
    pub outcome: Outcome,
    pub reason: &'static str,
}

pub enum Outcome {
    /// It is not executed.
    Skipped,
    /// The steps in these lines fail, outside as inside, and no others.
    Fails(&'static [u32]),
}

const OFF: &str = "a proposal that is switched off in every engine of Twine";
const SEVERAL_MEMORIES: &str = "asserts one memory, and a zero byte where multi-memory has an index";
const LONG_LIMITS: &str = "asserts that limits are 32-bit numbers; memory64 made their encodings longer";
const PARTIAL_WRITES: &str =
    "asserts that a failed instantiation writes nothing; bulk memory writes what comes before the trap";
const UNREACHABLE_LABELS: &str =
    "asserts that labels of a br_table agree in unreachable code, which version 3 relaxed";

const fn skipped(script: &'static str, reason: &'static str) -> Known {
    Known { script, outcome: Outcome::Skipped, reason }
}

const fn fails(script: &'static str, lines: &'static [u32], reason: &'static str) -> Known {
    Known { script, outcome: Outcome::Fails(lines), reason }
}

pub const KNOWN: &[Known] = &[
    skipped("custom-descriptors", OFF),
    skipped("custom-page-sizes", OFF),
    skipped("wide-arithmetic", OFF),
    fails("function-references/binary.wast", &[145, 165, 184, 203, 242, 261, 279, 297], SEVERAL_MEMORIES),
    fails("memory64/binary.wast", &[876, 896, 915, 934, 973, 992, 1010, 1028], SEVERAL_MEMORIES),
    fails("memory64/memory.wast", &[10, 11], SEVERAL_MEMORIES),
    fails("memory64/memory64.wast", &[8, 9], SEVERAL_MEMORIES),
    fails("multi-value/binary.wast", &[162, 182, 201, 220, 259, 278, 296, 314], SEVERAL_MEMORIES),
    fails("mutable-global/linking.wast", &[206, 227, 236, 238, 248, 298, 334, 342, 344, 354], PARTIAL_WRITES),
    fails("reference-types/binary-leb128.wast", &[217, 225, 404, 461], LONG_LIMITS),
    fails(
        "reference-types/binary.wast",
        &[157, 354, 362, 419, 756, 776, 795, 814, 853, 872, 890, 908],
        "both: limits are 32-bit numbers, and there is one memory",
    ),
    fails("reference-types/imports.wast", &[416, 420, 424], SEVERAL_MEMORIES),
    fails("reference-types/unreached-invalid.wast", &[539], UNREACHABLE_LABELS),
    fails("threads/imports.wast", &[309, 313, 317, 404, 408, 412], SEVERAL_MEMORIES),
    fails("threads/memory.wast", &[14, 15], SEVERAL_MEMORIES),
    fails("wasm-v1/binary-leb128.wast", &[216, 224, 403, 460], LONG_LIMITS),
    fails("wasm-v1/imports.wast", &[404, 408, 412], SEVERAL_MEMORIES),
    fails("wasm-v1/memory.wast", &[8, 9], SEVERAL_MEMORIES),
    fails("wasm-v2/binary-leb128.wast", &[217, 225], LONG_LIMITS),
    fails("wasm-v2/binary.wast", &[145, 165, 184, 203, 242, 261, 279, 297], SEVERAL_MEMORIES),
    fails("wasm-v2/imports.wast", &[487, 491, 495], SEVERAL_MEMORIES),
    fails("wasm-v2/memory.wast", &[10, 11], SEVERAL_MEMORIES),
];
