//! The same programs as in `tests/wasi`, on the encrypted volume: a program cannot tell the two apart.

#[path = "../wasi/attributes.rs"]
mod attributes;
mod backing;
#[path = "../wasi/descriptors.rs"]
mod descriptors;
#[path = "../wasi/directories.rs"]
mod directories;
#[path = "../wasi/ending.rs"]
mod ending;
#[path = "../wasi/guest.rs"]
mod guest;
#[path = "../wasi/io.rs"]
mod io;
mod limits;
#[path = "../wasi/model.rs"]
mod model;
#[path = "../wasi/names.rs"]
mod names;
#[path = "../wasi/opening.rs"]
mod opening;
#[path = "../wasi/poll.rs"]
mod poll;
#[path = "../wasi/process.rs"]
mod process;
#[path = "../wasi/random_calls.rs"]
mod random_calls;
#[path = "../wasi/startup.rs"]
mod startup;
#[path = "../wasi/stdio.rs"]
mod stdio;
