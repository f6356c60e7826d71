#![no_main]
//! Fuzzes [`sealwire_fuzz::seal_key`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::seal_key(bytes);
});
