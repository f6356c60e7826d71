//! Workbooks (Office Open XML): read within limits, written back with the bad cells marked.
//!
//! Only values are read: no formula is computed, no macro is run, no link is followed. A workbook
//! is a zip of XML, and a small file can unpack to a very large one; so it is unpacked once into
//! nothing, counted, before it is read.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx};
use rust_xlsxwriter::{Color, Format, Note, Workbook};

use super::rows::{Fault, MAX_COLUMNS, letters};

/// Most rows of a workbook; a larger table is a CSV file.
pub const MAX_ROWS: usize = 20_000;
/// Most bytes that a workbook may unpack to.
const MAX_UNPACKED: u64 = 256 * 1024 * 1024;
/// Most bytes of text in all cells.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// Most characters of a note that spreadsheets show.
const MAX_NOTE: usize = 1000;

/// Reads one sheet: its rows as texts, the head first. Rows without any text are left out at the
/// end only, so that the numbers of the others stay those of the sheet.
pub fn read(path: &Path, name: Option<&str>) -> anyhow::Result<Vec<csv::StringRecord>> {
    let file = File::open(path).map_err(anyhow::Error::from);
    let rows = file.and_then(|file| rows(BufReader::new(file), name));
    rows.with_context(|| format!("cannot read workbook {}", path.display()))
}

/// The rows of a sheet of a workbook, as [`read`] gives them.
pub fn rows<R: Read + Seek>(
    mut packed: R,
    name: Option<&str>,
) -> anyhow::Result<Vec<csv::StringRecord>> {
    unpacks_within(&mut packed)?;
    packed.rewind()?;
    let mut book = Xlsx::new(packed)?;
    let sheets = book.sheet_names();
    let name = match name {
        Some(name) => name.to_owned(),
        None => sheets.first().context("no sheet")?.clone(),
    };
    ensure!(sheets.contains(&name), "no sheet {name:?} (hint: it has {})", sheets.join(", "));
    cells(&mut book, &name)
}

fn cells<R: Read + Seek>(book: &mut Xlsx<R>, name: &str) -> anyhow::Result<Vec<csv::StringRecord>> {
    let mut reader = book.worksheet_cells_reader(name)?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut length = 0;
    while let Some(cell) = reader.next_cell()? {
        let (row, column) = cell.get_position();
        let (row, column) = (usize::try_from(row)?, usize::try_from(column)?);
        let text = text(cell.get_value())
            .with_context(|| format!("cell {}{}", letters(column), row.saturating_add(1)))?;
        if text.is_empty() {
            continue;
        }
        ensure!(
            row <= MAX_ROWS && column < MAX_COLUMNS,
            "more than {MAX_ROWS} rows or {} columns (hint: save it as CSV)",
            MAX_COLUMNS
        );
        length += text.len();
        ensure!(length <= MAX_TEXT, "more than {MAX_TEXT} bytes of text (hint: save it as CSV)");
        if rows.len() <= row {
            rows.resize_with(row + 1, Vec::new);
        }
        let Some(cells) = rows.get_mut(row) else { bail!("a row is missing") };
        if cells.len() <= column {
            cells.resize(column + 1, String::new());
        }
        if let Some(cell) = cells.get_mut(column) {
            *cell = text;
        }
    }
    let width = rows.first().map_or(0, Vec::len);
    let row = |mut cells: Vec<String>| {
        cells.resize(cells.len().max(width), String::new());
        csv::StringRecord::from(cells)
    };
    Ok(rows.into_iter().map(row).collect())
}

/// The text of a cell as a person would have typed it: no exponent, days as ISO 8601.
fn text(value: &DataRef<'_>) -> anyhow::Result<String> {
    Ok(match value {
        DataRef::Empty => String::new(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(value) => value.to_string(),
        DataRef::DateTime(time) => instant(time),
        DataRef::Error(error) => bail!("it holds the error {error} (hint: mend the formula)"),
    })
}

fn instant(time: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    if time.as_f64().fract() == 0.0 {
        date
    } else {
        format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Unpacks all of a zip into nothing, and counts; what the zip says of its sizes is not believed.
fn unpacks_within<R: Read + Seek>(packed: R) -> anyhow::Result<()> {
    let mut zip = zip::ZipArchive::new(packed)?;
    let mut left = MAX_UNPACKED;
    for index in 0..zip.len() {
        let entry = zip.by_index(index)?;
        let unpacked = io::copy(&mut entry.take(left.saturating_add(1)), &mut io::sink())?;
        left = left.checked_sub(unpacked).ok_or_else(|| {
            anyhow!("it unpacks to more than {MAX_UNPACKED} bytes (hint: save it as CSV)")
        })?;
    }
    Ok(())
}

/// Writes a table as a workbook in which each bad cell is red and has a note that says why. What
/// is wrong with a row as a whole stands in a last column.
pub fn write_marked(
    path: &Path,
    headers: &csv::StringRecord,
    rows: &[(csv::StringRecord, Vec<Fault>)],
) -> anyhow::Result<()> {
    let mut book = Workbook::new();
    let (head, bad) =
        (Format::new().set_bold(), Format::new().set_background_color(Color::RGB(0xFFC7CE)));
    let sheet = book.add_worksheet();
    sheet.set_freeze_panes(1, 0)?;
    let last = u16::try_from(headers.len()).context("too many columns")?;
    for (column, header) in (0..).zip(headers) {
        sheet.write_string_with_format(0, column, header, &head)?;
    }
    sheet.write_string_with_format(0, last, "what is wrong", &head)?;
    for (row, (cells, faults)) in (1..).zip(rows) {
        for (column, cell) in (0u16..).zip(cells).take(usize::from(last)) {
            let wrong = faults.iter().filter(|f| f.at == Some(usize::from(column)));
            let wrong: Vec<String> = wrong.map(|f| format!("{}: {}", f.code, f.text)).collect();
            if wrong.is_empty() {
                sheet.write_string(row, column, cell)?;
            } else {
                sheet.write_string_with_format(row, column, cell, &bad)?;
                let note: String = wrong.join("\n").chars().take(MAX_NOTE).collect();
                sheet.insert_note(row, column, &Note::new(note).add_author_prefix(false))?;
            }
        }
        let whole = faults.iter().filter(|f| f.at.is_none());
        let whole: Vec<String> = whole.map(|f| format!("{}: {}", f.code, f.text)).collect();
        if !whole.is_empty() {
            sheet.write_string_with_format(row, last, whole.join("; "), &bad)?;
        }
    }
    book.save(path).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn saved(book: &mut Workbook) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(".xlsx").tempfile().unwrap();
        std::fs::write(file.path(), book.save_to_buffer().unwrap()).unwrap();
        file
    }

    #[test]
    fn cells_are_read_as_a_person_would_have_typed_them() {
        let mut book = Workbook::new();
        let day = Format::new().set_num_format("yyyy-mm-dd");
        let sheet = book.add_worksheet();
        sheet.write_string(0, 0, "head").unwrap();
        sheet.write_number(1, 0, 14_000_000_000_000.0).unwrap();
        sheet.write_number(1, 1, 0.5).unwrap();
        let date = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 12, 31).unwrap();
        sheet.write_datetime_with_format(1, 2, &date, &day).unwrap();
        let time = date.and_hms(13, 5, 0).unwrap();
        sheet.write_datetime_with_format(1, 3, &time, &day).unwrap();
        sheet.write_boolean(3, 0, true).unwrap();
        let rows = read(saved(&mut book).path(), None).unwrap();
        assert_eq!(rows.len(), 4, "an empty row keeps its number");
        let cells: Vec<&str> = rows[1].iter().collect();
        assert_eq!(cells, ["14000000000000", "0.5", "2026-12-31", "2026-12-31T13:05:00Z"]);
        assert_eq!(&rows[3][0], "true");
    }

    #[test]
    fn a_cell_far_out_or_a_sheet_that_is_not_there_is_refused() {
        let mut book = Workbook::new();
        book.add_worksheet().write_string(1_048_575, 16_383, "far").unwrap();
        let file = saved(&mut book);
        let refused = format!("{:#}", read(file.path(), None).unwrap_err());
        assert!(refused.contains("rows"), "{refused}");
        let refused = format!("{:#}", read(file.path(), Some("Elsewhere")).unwrap_err());
        assert!(refused.contains("Sheet1"), "{refused}");
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_before_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        zip.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).unwrap();
        io::copy(&mut io::repeat(b' ').take(MAX_UNPACKED + 1), &mut zip).unwrap();
        zip.finish().unwrap();
        let refused = format!("{:#}", read(file.path(), None).unwrap_err());
        assert!(refused.contains("unpacks"), "{refused}");
    }

    #[test]
    fn bad_cells_are_marked_and_their_notes_say_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marked.xlsx");
        let head = csv::StringRecord::from(vec!["A", "B"]);
        let at = |at| Fault {
            row: 2,
            at,
            column: None,
            header: None,
            code: "hs-structure".into(),
            text: "no".into(),
        };
        let row = csv::StringRecord::from(vec!["x", "771234"]);
        write_marked(&path, &head, &[(row, vec![at(Some(1)), at(None)])]).unwrap();
        let rows = read(&path, None).unwrap();
        assert_eq!(rows[1].iter().collect::<Vec<_>>(), ["x", "771234", "hs-structure: no"]);
        let mut zip = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        let mut notes = String::new();
        zip.by_name("xl/comments1.xml").unwrap().read_to_string(&mut notes).unwrap();
        assert!(notes.contains("hs-structure: no") && notes.contains("ref=\"B2\""), "{notes}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_workbook_with_bytes_exchanged_never_panics(at in 0usize..4096, byte in any::<u8>()) {
            let mut book = Workbook::new();
            book.add_worksheet().write_string(0, 0, "head").unwrap();
            let mut bytes = book.save_to_buffer().unwrap();
            let length = bytes.len();
            bytes[at % length] ^= byte;
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let _ = read(file.path(), None);
        }
    }
}
