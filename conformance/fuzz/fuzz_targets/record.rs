#![no_main]
//! Fuzzes [`sealwire_fuzz::record`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::record(bytes);
});
