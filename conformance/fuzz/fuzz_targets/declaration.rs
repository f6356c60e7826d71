#![no_main]
//! Fuzzes [`sealwire_fuzz::declaration`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::declaration(bytes);
});
