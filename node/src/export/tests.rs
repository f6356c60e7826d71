use super::*;

#[test]
fn a_cut_export_is_whole_up_to_the_last_whole_file() {
    let plan: Vec<(String, Piece)> =
        ["a", "b", "c"].map(|name| (name.to_owned(), Piece::Bytes(vec![7; 700]))).into();
    let mut builder = tar::Builder::new(Vec::new());
    for (name, piece) in &plan {
        let Piece::Bytes(bytes) = piece else { panic!("not bytes") };
        append(&mut builder, name, bytes).unwrap();
    }
    let bytes = builder.into_inner().unwrap();
    // A header of 512 bytes, and 700 bytes padded to 1024.
    for cut in 0..=bytes.len() {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(&bytes[..cut]).unwrap();
        (&file).rewind().unwrap();
        let whole = (cut / 1536).min(3);
        assert_eq!(complete(&file, &plan).unwrap(), (whole, whole as u64 * 1536), "cut at {cut}");
    }
}
