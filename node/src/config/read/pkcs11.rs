//! The section `[keys.pkcs11]`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::{Walk, section};
use crate::config::{Pkcs11Keys, TOKEN_USES, TokenName, is_file_name};

const NAME: &str = "keys.pkcs11";
/// Longest label or serial number, in bytes: a token's own label has 32 at most.
const MAX_LABEL_BYTES: usize = 128;

impl Walk<'_> {
    /// `None` is a problem that was reported, `Some(None)` is no token.
    pub(super) fn pkcs11(&mut self, root: &DeTable<'_>, base: &Path) -> Option<Option<Pkcs11Keys>> {
        let Some(table) = section(root, NAME) else { return Some(None) };
        let at = self.section_line(root, NAME);
        let module = self.path(root, NAME, "module", None, base);
        if !table.contains_key("module") {
            let hint =
                "the path of its PKCS#11 module, such as \"/usr/lib/softhsm/libsofthsm2.so\"";
            self.problem(at, format!("find {NAME}.module: it is missing"), hint);
        }
        let token = match (self.label(root, "token")?, self.label(root, "serial")?) {
            (Some(label), None) => Some(TokenName::Label(label)),
            (None, Some(serial)) => Some(TokenName::Serial(serial)),
            _ => {
                let hint = "give either its label (token) or its serial number (serial)";
                self.problem(at, format!("find one token in {NAME}"), hint);
                None
            }
        };
        let pin_credential = match self.text(root, NAME, "pin-credential") {
            Some((name, line)) if !is_file_name(&name) => {
                let text =
                    format!("accept {NAME}.pin-credential {name:?}: it is no name of a file");
                self.problem(line, text, "the name in LoadCredential, such as \"sealwire-pin\"");
                return None;
            }
            found => found.map(|(name, _)| name),
        };
        let mut labels = BTreeMap::new();
        for use_ in TOKEN_USES {
            labels.extend(self.label(root, use_)?.map(|label| (use_, label)));
        }
        let mut distinct: Vec<&String> = labels.values().collect();
        distinct.sort();
        distinct.dedup();
        if labels.is_empty() || distinct.len() < labels.len() {
            let text = format!("find the keys of {NAME}: there is none, or two have one label");
            self.problem(at, text, "give one or more of sign, log and cosign labels of their own");
            return None;
        }
        Some(Some(Pkcs11Keys { module: module?, token: token?, pin_credential, labels }))
    }

    /// `None` is a problem that was reported, `Some(None)` is nothing.
    fn label(&mut self, root: &DeTable<'_>, key: &str) -> Option<Option<String>> {
        if !section(root, NAME).is_some_and(|table| table.contains_key(key)) {
            return Some(None);
        }
        let (text, line) = self.text(root, NAME, key)?;
        let printable = text.chars().all(|c| !c.is_control()) && text.trim() == text;
        if printable && (1..=MAX_LABEL_BYTES).contains(&text.len()) {
            return Some(Some(text));
        }
        let problem = format!("accept {NAME}.{key} {text:?}: it is no label");
        let hint = format!("1 to {MAX_LABEL_BYTES} bytes of text, without blanks at the ends");
        self.problem(line, problem, &hint);
        None
    }
}
