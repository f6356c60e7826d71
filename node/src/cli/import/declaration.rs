//! XML of the style of a WCO declaration: the elements that a profile names, and where they stand.
//!
//! Names are compared without their namespace. A document type declaration is refused, so that
//! nothing expands; comments and processing instructions are passed over.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::profile::{Element, Target};

/// Longest file, in bytes.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// How line ends and blanks are normalised.
const VERSION: XmlVersion = XmlVersion::Implicit1_0;
/// Most values of one record.
const MAX_VALUES: usize = 10_000;

/// A text that fills a field.
#[derive(Debug)]
pub struct Found<'p> {
    /// Where it goes.
    pub target: &'p Target,
    /// The same, with the number of each item.
    pub pointer: String,
    /// The line on which it ends, from 1.
    pub line: u64,
    /// The path of its element, as in the profile.
    pub path: &'p str,
    /// The text.
    pub text: String,
}

/// One record as it stands in the file.
#[derive(Debug)]
pub struct Declaration<'p> {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Where it ends, in bytes.
    pub end: u64,
    /// What fills its fields.
    pub found: Vec<Found<'p>>,
}

/// Which elements fill which fields.
pub struct Mapping {
    record: String,
    by_path: HashMap<String, (String, Target)>,
}

impl Mapping {
    /// From a profile's elements and the fields that they fill.
    pub fn new(record: &str, elements: Vec<(Element, Target)>) -> anyhow::Result<Self> {
        let mut by_path = HashMap::new();
        for (element, target) in elements {
            let plain = element.path.replace("[]", "");
            let twice = by_path.insert(plain, (element.path.clone(), target)).is_some();
            ensure!(!twice, "the profile names element {} twice", element.path);
        }
        Ok(Self { record: record.to_owned(), by_path })
    }

    /// Reads a file, and hands over one record after the other.
    pub fn read<'p>(
        &'p self,
        xml: &str,
        mut each: impl FnMut(Declaration<'p>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut reader = Reader::from_str(xml);
        let mut lines = Lines { xml, read: 0, line: 1 };
        let mut walk = Walk::default();
        loop {
            let event = reader.read_event();
            let end = reader.buffer_position();
            let line = lines.at(end);
            match event.with_context(|| format!("line {line}: it is not well-formed XML"))? {
                Event::Eof => break,
                Event::DocType(_) => bail!("line {line}: a document type declaration is refused"),
                Event::Start(tag) => walk.open(self, &tag, line)?,
                Event::Empty(tag) => {
                    walk.open(self, &tag, line)?;
                    walk.close(self, line, end)?.map_or(Ok(()), &mut each)?;
                }
                Event::Text(text) => walk.text.push_str(&text.xml_content(VERSION)),
                Event::CData(text) => walk.text.push_str(&text),
                Event::GeneralRef(name) => {
                    let name: &str = &name;
                    let known = quick_xml::escape::unescape(&format!("&{name};"))
                        .with_context(|| format!("line {line}: entity &{name};"))?
                        .into_owned();
                    walk.text.push_str(&known);
                }
                Event::End(_) => walk.close(self, line, end)?.map_or(Ok(()), &mut each)?,
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            }
        }
        ensure!(walk.open.is_empty(), "line {}: the file ends in the middle", lines.line);
        Ok(())
    }
}

/// Where the reader is.
#[derive(Default)]
struct Walk<'p> {
    open: Vec<Open>,
    text: String,
    record: Option<(usize, Declaration<'p>)>,
}

/// An element that is open: its name, which one of its name below its parent, and its children.
struct Open {
    name: String,
    nth: usize,
    children: HashMap<String, usize>,
}

impl<'p> Walk<'p> {
    fn open(
        &mut self,
        mapping: &'p Mapping,
        tag: &BytesStart<'_>,
        line: u64,
    ) -> anyhow::Result<()> {
        ensure!(self.open.len() < MAX_DEPTH, "line {line}: nested deeper than {MAX_DEPTH}");
        let name = tag.local_name().into_inner().to_owned();
        let nth = self.open.last_mut().map_or(0, |parent| {
            let count = parent.children.entry(name.clone()).or_insert(0);
            *count += 1;
            *count - 1
        });
        self.text.clear();
        self.open.push(Open { name, nth, children: HashMap::new() });
        if self.record.is_none() && self.open.last().is_some_and(|o| o.name == mapping.record) {
            let declaration = Declaration { line, end: 0, found: Vec::new() };
            self.record = Some((self.open.len(), declaration));
        }
        for attribute in tag.attributes() {
            let attribute = attribute.with_context(|| format!("line {line}: an attribute"))?;
            let name = attribute.key.local_name().into_inner().to_owned();
            let value = attribute.normalized_value(VERSION)?.into_owned();
            self.fill(mapping, Some(&name), &value, line)?;
        }
        Ok(())
    }

    /// Closes the innermost element; gives the record if it was the record's.
    fn close(
        &mut self,
        mapping: &'p Mapping,
        line: u64,
        end: u64,
    ) -> anyhow::Result<Option<Declaration<'p>>> {
        let text = std::mem::take(&mut self.text);
        self.fill(mapping, None, &text, line)?;
        let depth = self.open.len();
        self.open.pop();
        let closed = self.record.take_if(|(begun, _)| *begun == depth);
        Ok(closed.map(|(_, declaration)| Declaration { end, ..declaration }))
    }

    fn fill(
        &mut self,
        mapping: &'p Mapping,
        attribute: Option<&str>,
        text: &str,
        line: u64,
    ) -> anyhow::Result<()> {
        let text = text.trim();
        let Some((begun, declaration)) = &mut self.record else { return Ok(()) };
        if text.is_empty() {
            return Ok(());
        }
        let below = self.open.get(*begun..).unwrap_or_default();
        let mut path: Vec<&str> = below.iter().map(|open| open.name.as_str()).collect();
        let named;
        if let Some(attribute) = attribute {
            named = format!("@{attribute}");
            path.push(&named);
        }
        let path = path.join("/");
        let Some((shown, target)) = mapping.by_path.get(&path) else {
            return Ok(());
        };
        ensure!(
            declaration.found.len() < MAX_VALUES,
            "line {line}: more than {MAX_VALUES} values in one record"
        );
        let counted = shown.split('/').zip(below).filter(|(name, _)| name.ends_with("[]"));
        let mut pointer = target.pointer.clone();
        for (_, open) in counted {
            pointer = pointer.replacen('*', &open.nth.to_string(), 1);
        }
        // Of repeated elements that no `*` tells apart the first counts.
        if declaration.found.iter().any(|found| found.pointer == pointer) {
            return Ok(());
        }
        declaration.found.push(Found { target, pointer, line, path: shown, text: text.to_owned() });
        Ok(())
    }
}

/// Counts lines as the reader goes on.
struct Lines<'x> {
    xml: &'x str,
    read: usize,
    line: u64,
}

impl Lines<'_> {
    fn at(&mut self, position: u64) -> u64 {
        let to = usize::try_from(position).unwrap_or(usize::MAX).min(self.xml.len());
        let passed = self.xml.as_bytes().get(self.read..to).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.read = to.max(self.read);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sealwire_schemas::Standard;

    use super::super::profile::Profile;
    use super::*;

    const XML: &str = r#"<?xml version="1.0"?>
<md:MetaData xmlns:md="urn:wco:datamodel:WCO:DocumentMetaData-DMS:2">
 <Declaration xmlns="urn:wco:datamodel:WCO:DEC-DMS:2">
  <ID>26ID&#65;1</ID>
  <GoodsShipment><Consignment>
   <TransportEquipment><ID>CSQU 305438-3</ID><Seal><ID>S1</ID></Seal><Seal><ID>S2</ID></Seal></TransportEquipment>
   <TransportEquipment><ID>MSCU6639870</ID>
    <Seal><ID><![CDATA[S<3>]]></ID></Seal></TransportEquipment>
  </Consignment></GoodsShipment>
 </Declaration>
</md:MetaData>"#;

    fn mapping() -> Mapping {
        let text = include_str!("../../../../deploy/import-wco-declaration.example.toml");
        let profile: Profile = toml::from_str(text).unwrap();
        let kind = Standard::v1().kind("warning").unwrap();
        let elements = profile.element.into_iter().map(|e| {
            let target = e.target(kind).unwrap();
            (e, target)
        });
        Mapping::new("Declaration", elements.collect()).unwrap()
    }

    fn read(xml: &str) -> anyhow::Result<Vec<Vec<(String, String, u64)>>> {
        let (mapping, mut records) = (mapping(), Vec::new());
        mapping.read(xml, |declaration| {
            let found = declaration.found.into_iter().map(|f| (f.pointer, f.text, f.line));
            records.push(found.collect());
            Ok(())
        })?;
        Ok(records)
    }

    #[test]
    fn elements_are_found_by_their_path_and_counted_among_their_siblings() {
        let records = read(XML).unwrap();
        let found: Vec<_> =
            records[0].iter().map(|(p, t, l)| (p.as_str(), t.as_str(), *l)).collect();
        let equipment = "/consignment/transportEquipment";
        let expected = [
            ("/consignment/mrn/0".to_owned(), "26IDA1", 4),
            (format!("{equipment}/0/id"), "CSQU 305438-3", 6),
            (format!("{equipment}/0/seal/0/id"), "S1", 6),
            (format!("{equipment}/0/seal/1/id"), "S2", 6),
            (format!("{equipment}/1/id"), "MSCU6639870", 7),
            (format!("{equipment}/1/seal/0/id"), "S<3>", 8),
        ];
        let expected: Vec<_> = expected.iter().map(|(p, t, l)| (p.as_str(), *t, *l)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_could_expand_or_never_end_is_refused() {
        let deep = format!("<Declaration>{}", "<a>".repeat(100));
        let many = format!("<Declaration>{}</Declaration>", {
            let seals: String =
                (0..=MAX_VALUES).map(|n| format!("<Seal><ID>{n}</ID></Seal>")).collect();
            format!(
                "<GoodsShipment><Consignment><TransportEquipment>{seals}</TransportEquipment></Consignment></GoodsShipment>"
            )
        });
        for (xml, cause) in [
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><Declaration/>", "document type"),
            ("<Declaration><ID>&b;</ID></Declaration>", "entity"),
            ("<Declaration><ID>1</Declaration>", "well-formed"),
            ("<Declaration><ID>1", "middle"),
            (deep.as_str(), "nested"),
            (many.as_str(), "values"),
        ] {
            let refused = format!("{:#}", read(xml).unwrap_err());
            assert!(refused.contains(cause), "{cause}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(junk in "[<>/!?&;A-C\\[\\]\"'= -]{0,64}", at in 0usize..600) {
            let mut xml = XML.to_owned();
            let at = (0..=at.min(xml.len())).rev().find(|at| xml.is_char_boundary(*at)).unwrap_or(0);
            xml.insert_str(at, &junk);
            let _ = read(&xml);
        }
    }
}
