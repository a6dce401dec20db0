#![no_main]

use std::panic;

// libFuzzer's panic hook aborts the process at every panic, but `serve` catches some of them.
libfuzzer_sys::fuzz_target!(init: panic::set_hook(Box::new(|_| ())), |input: &[u8]| fuzz::event(input));
