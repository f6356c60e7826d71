#![no_main]
//! Fuzzes [`sealwire_fuzz::id`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::id(bytes);
});
