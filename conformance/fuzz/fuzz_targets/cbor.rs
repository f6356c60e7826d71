#![no_main]
//! Fuzzes [`sealwire_fuzz::cbor`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::cbor(bytes);
});
