//! The file system over the tree: contents, names and inodes' lives.

mod data;
mod names;
mod readdir;
mod trait_impl;
mod write_back;
