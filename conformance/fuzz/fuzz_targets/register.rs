#![no_main]
//! Fuzzes [`sealwire_fuzz::register`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::register(bytes);
});
