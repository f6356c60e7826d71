#![no_main]
//! Fuzzes [`sealwire_fuzz::introduction`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::introduction(bytes);
});
