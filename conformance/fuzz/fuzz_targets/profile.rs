#![no_main]
//! Fuzzes [`sealwire_fuzz::profile`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::profile(bytes);
});
