//! The same programs as in `tests/wasi`, on an insecure folder of the host, through both sides of its host calls. Times are
//! the host's there, so the tests that set the clock are not among them.

mod backing;
#[path = "../wasi/descriptors.rs"]
mod descriptors;
#[path = "../wasi/directories.rs"]
mod directories;
#[path = "../wasi/guest.rs"]
#[allow(dead_code, reason = "some of it is for the tests of streams")]
mod guest;
mod host;
#[path = "../wasi/io.rs"]
mod io;
#[path = "../wasi/model.rs"]
mod model;
#[path = "../wasi/names.rs"]
mod names;
#[path = "../wasi/opening.rs"]
mod opening;
#[path = "../wasi/random_calls.rs"]
mod random_calls;
