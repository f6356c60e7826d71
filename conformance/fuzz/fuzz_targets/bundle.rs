#![no_main]
//! Fuzzes [`sealwire_fuzz::bundle`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::bundle(bytes);
});
