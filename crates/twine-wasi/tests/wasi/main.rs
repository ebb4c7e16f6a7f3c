//! Preview 1 as a program sees it: every function through the linker, on the in-memory file system.

mod attributes;
mod backing;
mod descriptors;
mod directories;
mod ending;
mod guest;
mod io;
mod limits;
mod model;
mod names;
mod opening;
mod poll;
mod process;
mod random_calls;
mod startup;
mod stdio;
