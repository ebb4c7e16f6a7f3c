#![no_main]

twine_fuzz_targets::fuzz!("sealed");
