//! `template`: a table without rows, to be filled in.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::Args;
use rust_xlsxwriter::{DataValidation, Format, Note, Workbook, Worksheet};
use sealwire_schemas::{Field, Holds};

use super::super::output::{Exit, Failure};
use super::{kind_named, sheet};

/// Longest list of values that a spreadsheet takes for one cell, in characters with its commas.
const MAX_LISTED_VALUES: usize = 255;

/// Arguments of `template`.
#[derive(Debug, Args)]
pub struct TemplateArgs {
    /// The record kind.
    kind: String,
    /// Only the fields that every record must have.
    #[arg(long)]
    minimal: bool,
    /// The head of a CSV file in the place of a workbook.
    #[arg(long)]
    csv: bool,
}

/// Writes a template to standard output.
pub fn template(args: &TemplateArgs) -> Result<Exit, Failure> {
    let kind = kind_named(&args.kind).map_err(Failure::usage)?;
    let fields = kind.fields().into_iter().filter(|(pointer, field)| {
        (field.required || !args.minimal)
            && !["/id", "/kind", "/version"].contains(&pointer.as_str())
    });
    let mut out = std::io::stdout().lock();
    if args.csv {
        let mut writer = csv::Writer::from_writer(out);
        let head: Vec<String> = fields.map(|(pointer, _)| pointer).collect();
        writer.write_record(&head).map_err(Failure::fault)?;
        writer.flush()?;
    } else if out.is_terminal() {
        return Err(Failure::usage(format!(
            "cannot write a workbook to the terminal (hint: sealwire template {0} > {0}.xlsx)",
            args.kind
        )));
    } else {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.set_name(kind.name()).map_err(Failure::fault)?;
        workbook(sheet, fields).map_err(Failure::fault)?;
        out.write_all(&book.save_to_buffer().map_err(Failure::fault)?)?;
        out.flush()?;
    }
    Ok(Exit::Done)
}

/// The head of a sheet: each field's pointer, what it means in a note, and the values to choose
/// from in the cells below.
fn workbook<'a>(
    sheet: &mut Worksheet,
    fields: impl Iterator<Item = (String, Field<'a>)>,
) -> anyhow::Result<()> {
    let (plain, required) = (Format::new(), Format::new().set_bold());
    sheet.set_freeze_panes(1, 0)?;
    let last = u32::try_from(sheet::MAX_ROWS)?;
    for (column, (pointer, field)) in (0u16..).zip(fields) {
        let format = if field.required { &required } else { &plain };
        sheet.write_string_with_format(0, column, &pointer, format)?;
        sheet.set_column_width(column, 24)?;
        let class = field.class.as_str();
        let number = field.wco_id.map_or(String::new(), |id| format!(" (WCO {id})"));
        let must = if field.required { "required; " } else { "" };
        let note = format!("{}{number}\n{}\n{must}class {class}", field.title, field.description);
        sheet.insert_note(0, column, &Note::new(note).add_author_prefix(false))?;
        let values = match field.holds {
            Holds::Boolean => vec!["yes", "no"],
            _ => field.values,
        };
        let length = values.iter().map(|v| v.chars().count() + 1).sum::<usize>();
        if !values.is_empty() && length <= MAX_LISTED_VALUES {
            let choice = DataValidation::new().allow_list_strings(&values)?;
            sheet.add_data_validation(1, column, last, column, &choice).context(pointer)?;
        }
    }
    Ok(())
}
