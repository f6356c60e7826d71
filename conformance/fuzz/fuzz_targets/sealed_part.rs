#![no_main]
//! Fuzzes [`sealwire_fuzz::sealed_part`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::sealed_part(bytes);
});
