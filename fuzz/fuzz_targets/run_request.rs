#![no_main]

twine_fuzz_targets::fuzz!("run_request");
