#![no_main]
//! Fuzzes [`sealwire_fuzz::evidence`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::evidence(bytes);
});
