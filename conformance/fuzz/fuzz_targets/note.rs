#![no_main]
//! Fuzzes [`sealwire_fuzz::note`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::note(bytes);
});
