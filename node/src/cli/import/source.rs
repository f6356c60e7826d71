//! Where records come from: a CSV file, a sheet of a workbook, an XML file. One record after the
//! other is built and handed over.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use sealwire_schemas::{Kind, Language};
use serde_json::{Map, Value, json};

use super::declaration::{self, Declaration};
use super::profile::{Mapping, Profile};
use super::rows::{self, Cell, Column, Fault, MAX_COLUMNS, Place};
use super::sheet;
use crate::cli::output::Failure;

/// An open source.
pub struct Source {
    constants: Map<String, Value>,
    language: Language,
    from: From,
}

enum From {
    Csv { reader: Box<csv::Reader<File>>, table: Table },
    Sheet { rows: std::vec::IntoIter<csv::StringRecord>, table: Table },
    Xml { text: String, mapping: declaration::Mapping },
}

/// The head of a table.
struct Table {
    headers: csv::StringRecord,
    columns: Vec<Column>,
}

/// One record, built or at fault.
pub struct Item<'a> {
    /// The record, or what is wrong.
    pub built: Result<Value, Vec<Fault>>,
    /// What it was built from: the same content makes the same record again.
    pub content: String,
    /// The cells of its row, if it came from a table.
    pub cells: Option<&'a csv::StringRecord>,
    /// How much of the source has been read, in the unit of [`Source::length`].
    pub read: u64,
}

impl Source {
    /// Opens a file by the end of its name: `.csv`, `.xlsx` or `.xml`; any other is read as CSV.
    pub fn open(
        path: &Path,
        kind: &'static Kind,
        profile: Profile,
        language: Language,
    ) -> anyhow::Result<Self> {
        let mut constants: Map<String, Value> = profile.constant.clone().into_iter().collect();
        constants.insert("/kind".to_owned(), json!(kind.name()));
        constants.insert("/version".to_owned(), json!(kind.version()));
        if let Some(pointer) = constants.keys().find(|pointer| kind.field(pointer).is_none()) {
            bail!("cannot use the profile: {} has no field {pointer}", kind.name());
        }
        let named = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let from = match named.to_ascii_lowercase().as_str() {
            "xlsx" => {
                let mut rows = sheet::read(path, profile.sheet.as_deref())?.into_iter();
                let headers = rows.next().unwrap_or_default();
                From::Sheet { rows, table: Table::new(path, headers, kind, profile)? }
            }
            "xml" => From::Xml { text: xml(path)?, mapping: elements(kind, profile)? },
            _ => csv(path, kind, profile)?,
        };
        Ok(Self { constants, language, from })
    }

    /// The heads of a table.
    pub fn headers(&self) -> Option<&csv::StringRecord> {
        match &self.from {
            From::Csv { table, .. } | From::Sheet { table, .. } => Some(&table.headers),
            From::Xml { .. } => None,
        }
    }

    /// How much there is to read: bytes of a file, rows of a sheet.
    pub fn length(&self, path: &Path) -> u64 {
        match &self.from {
            From::Sheet { rows, .. } => rows.len() as u64,
            _ => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        }
    }

    /// Hands over every record.
    pub fn each(
        self,
        mut visit: impl FnMut(Item<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (constants, language) = (&self.constants, self.language);
        match self.from {
            From::Csv { mut reader, table } => {
                let mut cells = csv::StringRecord::new();
                for row in 2.. {
                    let built = match reader.read_record(&mut cells) {
                        Ok(false) => break,
                        Ok(true) => rows::row(constants, &table.columns, row, &cells, language),
                        Err(cause) if cause.is_io_error() => {
                            return Err(Failure::fault(cause));
                        }
                        Err(cause) => {
                            Err(vec![Fault::whole(row, "row-malformed", cause.to_string())])
                        }
                    };
                    let (content, read) = (format!("{cells:?}"), reader.position().byte());
                    visit(Item { built, content, cells: Some(&cells), read })?;
                }
            }
            From::Sheet { rows, table } => {
                for (row, cells) in (2..).zip(rows) {
                    if cells.iter().all(str::is_empty) {
                        continue;
                    }
                    let built = rows::row(constants, &table.columns, row, &cells, language);
                    let content = format!("{cells:?}");
                    visit(Item { built, content, cells: Some(&cells), read: row - 1 })?;
                }
            }
            From::Xml { text, mapping } => {
                let mut stopped = Ok(());
                let read = mapping.read(&text, |declaration| {
                    stopped = visit(item(constants, &declaration, language));
                    ensure!(stopped.is_ok(), "stopped");
                    Ok(())
                });
                stopped?;
                read.map_err(|e| Failure::refused(e.context("cannot read the XML file")))?;
            }
        }
        Ok(())
    }
}

fn item<'a>(
    constants: &Map<String, Value>,
    declaration: &Declaration<'_>,
    language: Language,
) -> Item<'a> {
    let cells = declaration.found.iter().map(|found| Cell {
        target: found.target,
        pointer: &found.pointer,
        text: &found.text,
        place: Place { row: found.line, at: None, name: found.path },
    });
    let built = rows::record(constants, cells, declaration.line, language);
    let content = declaration.found.iter().map(|f| format!("{}={:?}\n", f.pointer, f.text));
    Item { built, content: content.collect(), cells: None, read: declaration.end }
}

fn csv(path: &Path, kind: &'static Kind, profile: Profile) -> anyhow::Result<From> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let separator = u8::try_from(profile.separator.unwrap_or(','))
        .context("cannot use the profile's separator: not one ASCII character")?;
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(file);
    let headers = reader.headers().with_context(|| format!("cannot read {shown}"))?.clone();
    let table = Table::new(path, headers, kind, profile)?;
    Ok(From::Csv { reader: Box::new(reader), table })
}

fn xml(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(cannot)?;
    file.take(declaration::MAX_BYTES + 1).read_to_string(&mut text).with_context(cannot)?;
    ensure!(
        text.len() as u64 <= declaration::MAX_BYTES,
        "{}: more than {} bytes (hint: split it)",
        cannot(),
        declaration::MAX_BYTES
    );
    Ok(text)
}

fn elements(kind: &'static Kind, profile: Profile) -> anyhow::Result<declaration::Mapping> {
    let Some(record) = profile.record else {
        bail!(
            "cannot import XML: the profile does not name its record element (hint: record = \"Declaration\")"
        );
    };
    let targets = profile.element.into_iter().map(|element| {
        let target = element.target(kind)?;
        Ok((element, target))
    });
    declaration::Mapping::new(&record, targets.collect::<anyhow::Result<_>>()?)
}

impl Table {
    fn new(
        path: &Path,
        headers: csv::StringRecord,
        kind: &Kind,
        mut profile: Profile,
    ) -> anyhow::Result<Self> {
        let shown = path.display();
        ensure!(
            headers.len() <= MAX_COLUMNS,
            "cannot import {shown}: {} columns, more than {MAX_COLUMNS}",
            headers.len()
        );
        let (mut columns, mut faults) = (Vec::new(), Vec::new());
        for (at, header) in headers.iter().enumerate() {
            let header = header.trim_start_matches('\u{feff}').trim().to_owned();
            let mapping = profile.column.remove(&header);
            match mapping.unwrap_or_else(|| Mapping::Field(header.clone())).target(kind) {
                Ok(target) => columns.push(Column { at, header, target }),
                Err(cause) => {
                    faults.push(format!("column {} ({header:?}): {cause}", rows::letters(at)));
                }
            }
        }
        if let Err(fault) = rows::distinct(&columns) {
            faults.push(fault.to_string());
        }
        ensure!(
            faults.is_empty() && !columns.is_empty(),
            "cannot import {shown}:\n{}\nhint: see `sealwire template {}` for the fields, or name \
             them in a profile",
            if faults.is_empty() { "it has no head".to_owned() } else { faults.join("\n") },
            kind.name()
        );
        Ok(Self { headers, columns })
    }
}
