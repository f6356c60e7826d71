#![no_main]
//! Fuzzes [`sealwire_fuzz::receipt`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::receipt(bytes);
});
