#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| harkara_properties::event_name(input));
