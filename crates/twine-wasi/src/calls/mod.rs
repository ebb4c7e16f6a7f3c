//! The functions, grouped by what they work on. Each takes the context, the caller's memory and the raw parameters.

#![allow(clippy::too_many_arguments, reason = "they have the parameters that WASI gives them")]

pub(crate) mod attributes;
pub(crate) mod descriptors;
pub(crate) mod directories;
pub(crate) mod io;
pub(crate) mod paths;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod sockets;
pub(crate) mod startup;
