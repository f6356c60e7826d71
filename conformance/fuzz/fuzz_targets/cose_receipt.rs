#![no_main]
//! Fuzzes [`sealwire_fuzz::cose_receipt`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::cose_receipt(bytes);
});
