#![no_main]
//! Fuzzes [`sealwire_fuzz::wrap`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::wrap(bytes);
});
