//! Scripts and reports: data, without text to parse.

use serde::{Deserialize, Serialize};

/// One `.wast` file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    /// Folder and name in the test suite.
    pub name: String,
    /// Whether instances see each other (`register`): they share a store then, else each has its own.
    pub linked: bool,
    /// Its directives.
    pub steps: Vec<Step>,
}

/// One directive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Where it starts in the file, from 1.
    pub line: u32,
    /// What to do.
    pub action: Action,
}

/// What a directive asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the script's own")]
pub enum Action {
    /// `module definition`: compile and keep.
    Define { name: Option<String>, binary: Vec<u8> },
    /// `module instance`: instantiate what was defined.
    Instantiate { instance: Option<String>, definition: Option<String> },
    /// `module`: compile and instantiate; the current instance from now on.
    Module { name: Option<String>, binary: Vec<u8> },
    /// `register`: make an instance's exports importable.
    Register { name: String, instance: Option<String> },
    /// Execute, whatever the results.
    Perform(Execute),
    /// `assert_return`.
    Return(Execute, Vec<Expected>),
    /// `assert_trap`, with the message.
    Trap(Execute, String),
    /// `assert_exhaustion`, with the message.
    Exhaustion(Execute, String),
    /// `assert_exception`.
    Exception(Execute),
    /// `assert_malformed` and `assert_invalid`: the engine must refuse the binary.
    Refused(Vec<u8>),
    /// `assert_unlinkable`: it is valid and does not link.
    Unlinkable(Vec<u8>),
}

/// What is executed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the script's own")]
pub enum Execute {
    /// A call of an exported function.
    Invoke { instance: Option<String>, export: String, arguments: Vec<Argument> },
    /// A read of an exported global.
    Get { instance: Option<String>, export: String },
    /// An instantiation.
    Module(Vec<u8>),
}

/// A kind of reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Heap {
    /// `func` and below.
    Func,
    /// `extern` and below.
    Extern,
    /// `any` and below.
    Any,
    /// `exn` and below.
    Exn,
}

/// An argument of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Argument {
    /// `i32.const`
    I32(i32),
    /// `i64.const`
    I64(i64),
    /// `f32.const`, its bits
    F32(u32),
    /// `f64.const`, its bits
    F64(u64),
    /// `v128.const`
    V128([u8; 16]),
    /// `ref.null`
    Null(Heap),
    /// `ref.extern`: an opaque reference of the host.
    Extern(u32),
    /// `ref.host`: the same, as `any`.
    Host(u32),
}

/// What a floating-point result must be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Float<T> {
    /// These bits.
    Bits(T),
    /// A NaN with only the topmost bit of its payload set.
    Canonical,
    /// A NaN with the topmost bit of its payload set.
    Arithmetic,
}

/// What a result must be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Expected {
    /// `i32.const`
    I32(i32),
    /// `i64.const`
    I64(i64),
    /// `f32.const`
    F32(Float<u32>),
    /// `f64.const`
    F64(Float<u64>),
    /// `v128.const` of integers
    V128([u8; 16]),
    /// `v128.const f32x4`
    F32x4([Float<u32>; 4]),
    /// `v128.const f64x2`
    F64x2([Float<u64>; 2]),
    /// `ref.null`, of a kind or of any.
    Null(Option<Heap>),
    /// `ref.extern`: this one, or any that is not null.
    Extern(Option<u32>),
    /// `ref.host`: this one.
    Host(u32),
    /// `ref.func`: any that is not null.
    Func,
    /// `ref.any`: any that is not null.
    Any,
    /// `ref.eq`
    Eq,
    /// `ref.array`
    Array,
    /// `ref.struct`
    Struct,
    /// `ref.i31`
    I31,
    /// One of these.
    Either(Vec<Expected>),
}

/// What became of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`Script::name`].
    pub name: String,
    /// Steps that did what they should.
    pub passed: u32,
    /// The others.
    pub failures: Vec<Failure>,
}

/// A step that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Step::line`].
    pub line: u32,
    /// What happened.
    pub why: String,
}
