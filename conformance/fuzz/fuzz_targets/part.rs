#![no_main]
//! Fuzzes [`sealwire_fuzz::part`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::part(bytes);
});
