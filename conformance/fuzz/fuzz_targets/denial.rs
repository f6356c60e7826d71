#![no_main]
//! Fuzzes [`sealwire_fuzz::denial`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::denial(bytes);
});
