#![no_main]
//! Fuzzes [`sealwire_fuzz::ec_point`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::ec_point(bytes);
});
