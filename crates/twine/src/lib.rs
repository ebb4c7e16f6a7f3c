//! Runs WebAssembly programs (WASI preview 1) inside SGX enclaves, from Rust.
//!
//! ```no_run
//! use twine::{Io, Program, Runner, Tee};
//!
//! # fn main() -> twine::Result<()> {
//! let program = Program::from_file("hello.wasm", &["World".to_owned()])?;
//! println!("CONFIGID {}", program.candidate().config_id());
//! // `Tee::Auto` never means the simulated processor: who wants a run without confidentiality says so.
//! let report = Runner::new(Tee::Sim)?.run(&program, Io::inherit()?)?;
//! println!("{:?} after {:?}", report.end, report.stats.total);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Program`] is a module with everything that the enclave obeys, and so has an identity before it runs. A
//! [`Runner`] is a processor with an enclave image; each run gets an enclave of its own. [`Io`] says where the program's
//! streams go. How a run ended is data ([`End`]); an [`Error`] means that there was none.
//!
//! The image is built and signed by this crate's build script. Without the feature `cli` nothing of the command line
//! is compiled.
#![deny(unsafe_code)]

pub mod error;
pub mod exit;
pub mod folders;
pub mod image;
mod program;
mod quotes;
mod runner;
mod tee;

pub use error::{Error, Result};
pub use folders::Folders;
pub use image::Image;
pub use program::{Program, resolve};
pub use runner::{Hidden, Io, Loaded, Options, Runner};
pub use tee::Tee;
pub use twine_abi::calls::{Cipher, Outcome, Stage, StartPhase, Window};
pub use twine_abi::run::{EXPORT, IMPORT, Operation};
pub use twine_host::backend::Enclave;
pub use twine_host::quote::{QuoteError, QuoteProvider};
pub use twine_host::run::{End, Module, Observer, Report, Stats, Streams, Volume, Ways};
pub use twine_image as image_format;
pub use twine_workload as workload;
