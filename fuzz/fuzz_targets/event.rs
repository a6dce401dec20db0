#![no_main]

use std::panic;

// libFuzzer's own hook ends the process at every panic, and `serve` catches some.
libfuzzer_sys::fuzz_target!(init: panic::set_hook(Box::new(|_| ())), |input: &[u8]| fuzz::event(input));
