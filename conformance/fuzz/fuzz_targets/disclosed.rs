#![no_main]
//! Fuzzes [`sealwire_fuzz::disclosed`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::disclosed(bytes);
});
