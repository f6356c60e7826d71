#![no_main]
//! Fuzzes [`sealwire_fuzz::add_checkpoint`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::add_checkpoint(bytes);
});
