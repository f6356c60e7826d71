//! Tables and declarations that are imported: readers of the `sealwire` program, which has no
//! library, compiled into this one.

use std::io::Cursor;
use std::sync::OnceLock;

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, XlsxError};
use sealwire_schemas::{Kind, Standard};

use readers::declaration::Mapping;
use readers::profile::Profile;
use readers::rows::MAX_COLUMNS;
use readers::sheet::{self, MAX_ROWS};

#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../node/src/cli/import"]
mod readers {
    pub mod declaration;
    pub mod profile;
    pub mod rows;
    pub mod sheet;
}

/// The mapping profile that is shipped for declarations.
const PROFILE: &str = include_str!("../../../deploy/import-wco-declaration.example.toml");

/// XML declarations, read with the mapping profile that is shipped: each value that is found is
/// for a field of the record kind, and is found again.
pub fn declaration(bytes: &[u8]) -> bool {
    let Ok(xml) = str::from_utf8(bytes) else { return false };
    let read = || {
        let mut found = Vec::new();
        mapping()?.read(xml, |declaration| {
            found.extend(declaration.found.into_iter().map(|value| (value.pointer, value.text)));
            Ok(())
        })?;
        anyhow::Ok(found)
    };
    let Ok(found) = read() else { return false };
    assert_eq!(read().ok().as_ref(), Some(&found));
    for (pointer, text) in &found {
        // A count beyond what a record may hold is a finding later, not a field.
        let place = pointer.split('/').map(|s| if s.parse::<u32>().is_ok() { "0" } else { s });
        let place = place.collect::<Vec<_>>().join("/");
        assert!(warning().is_some_and(|kind| kind.field(&place).is_some()), "{pointer}: {text}");
    }
    !found.is_empty()
}

/// Workbooks: rows and columns within their limits.
pub fn workbook(bytes: &[u8]) -> bool {
    let Ok(rows) = sheet::rows(Cursor::new(bytes), None) else { return false };
    assert!(rows.len() <= MAX_ROWS + 1);
    assert!(rows.iter().all(|row| row.len() <= MAX_COLUMNS));
    !rows.is_empty()
}

/// Mapping profiles: every column and element fills a field, or says why not.
pub fn profile(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).ok();
    let Some(profile) = text.and_then(|text| toml::from_str::<Profile>(text).ok()) else {
        return false;
    };
    let named = profile.kind.as_deref().and_then(|name| Standard::v1().kind(name));
    let Some(kind) = named else { return false };
    let columns = profile.column.into_values().map(|column| column.target(kind));
    let elements = profile.element.iter().map(|element| element.target(kind));
    columns.chain(elements).all(|target| match target {
        Ok(target) => {
            assert!(kind.field(&target.pointer.replace('*', "0")).is_some());
            let _ = target.value("293972");
            true
        }
        Err(_) => false,
    })
}

fn warning() -> Option<&'static Kind> {
    Standard::v1().kind("warning")
}

fn mapping() -> anyhow::Result<&'static Mapping> {
    static MAPPING: OnceLock<Option<Mapping>> = OnceLock::new();
    let made = MAPPING.get_or_init(|| {
        let profile: Profile = toml::from_str(PROFILE).ok()?;
        let targets = profile.element.into_iter().map(|element| {
            let target = element.target(warning()?).ok()?;
            Some((element, target))
        });
        Mapping::new(&profile.record?, targets.collect::<Option<_>>()?).ok()
    });
    made.as_ref().ok_or_else(|| anyhow::anyhow!("the profile that is shipped is broken"))
}

/// What the three targets begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let declaration = "<?xml version=\"1.0\"?><Declaration xmlns=\"urn:x\"><ID>26ID&#65;1</ID>\
        <BorderTransportMeans><ModeCode>1</ModeCode><Name>A &amp; B</Name></BorderTransportMeans>\
        <GoodsShipment><Consignment><TransportEquipment><ID>CSQU3054383</ID><Seal><ID>S1</ID>\
        </Seal><Seal><ID><![CDATA[S<2>]]></ID></Seal></TransportEquipment></Consignment>\
        </GoodsShipment></Declaration>";
    let mut seeds = vec![declaration.into(), PROFILE.into()];
    seeds.extend(book().ok());
    seeds
}

/// A small workbook with every sort of cell; the same bytes every time.
fn book() -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let day = ExcelDateTime::from_ymd(2026, 1, 1)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&day));
    let sheet = book.add_worksheet();
    sheet.write_string(0, 0, "/issueDate")?.write_string(0, 1, "/goodsItem/0/category")?;
    sheet.write_datetime(1, 0, &day)?.write_string(1, 1, "NPS")?;
    sheet.write_number(2, 0, 0.5)?.write_boolean(2, 1, true)?;
    sheet.write_formula(3, 0, "=1/0")?;
    book.save_to_buffer()
}
