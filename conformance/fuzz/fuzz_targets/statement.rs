#![no_main]
//! Fuzzes [`sealwire_fuzz::statement`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::statement(bytes);
});
