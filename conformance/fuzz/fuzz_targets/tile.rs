#![no_main]
//! Fuzzes [`sealwire_fuzz::tile`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::tile(bytes);
});
