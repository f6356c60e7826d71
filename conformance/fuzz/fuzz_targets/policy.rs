#![no_main]
//! Fuzzes [`sealwire_fuzz::policy`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::policy(bytes);
});
