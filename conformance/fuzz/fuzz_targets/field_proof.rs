#![no_main]
//! Fuzzes [`sealwire_fuzz::field_proof`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::field_proof(bytes);
});
