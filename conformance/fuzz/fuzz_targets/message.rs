#![no_main]
//! Fuzzes [`sealwire_fuzz::message`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::message(bytes);
});
