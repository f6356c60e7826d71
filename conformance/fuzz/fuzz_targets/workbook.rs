#![no_main]
//! Fuzzes [`sealwire_fuzz::workbook`].

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealwire_fuzz::workbook(bytes);
});
