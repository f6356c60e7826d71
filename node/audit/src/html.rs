//! The report as one HTML file that opens offline: no script, nothing from elsewhere.
//!
//! Everything that comes from the audited files is hostile: it is escaped, and characters that
//! show a reader something else than what stands there are spelt out.

use std::fmt::Write as _;

use crate::report::{Report, Verdict};

/// What stands around the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// What was audited, as the auditor named it.
    pub subject: String,
    /// What the auditor trusted: names and values, in order.
    pub trusted: Vec<(&'static str, String)>,
    /// When the audit ended, as a date and time in UTC.
    pub ended: String,
}

const STYLE: &str = "body{font:11pt/1.45 sans-serif;max-width:48em;margin:2em auto;padding:0 1em;\
    color:#111;background:#fff}table{border-collapse:collapse;width:100%}\
    th,td{border:1px solid #888;padding:.3em .5em;text-align:left;vertical-align:top;\
    overflow-wrap:anywhere}.verdict{font-size:1.5em;font-weight:bold;border:3px solid #111;\
    padding:.4em .6em}@media print{body{margin:0}tr{break-inside:avoid}}@page{size:A4;margin:18mm}";

/// Writes the report.
pub fn html(report: &Report, around: &Around) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report, around);
    out
}

fn write(out: &mut String, report: &Report, around: &Around) -> std::fmt::Result {
    let subject = escape(&around.subject);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>Audit of {subject}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Audit of {subject}</h1>\n<p class=\"verdict\">{}</p>\n",
        conclusion(report.verdict)
    )?;
    if let Some(step) = report.steps.iter().find(|step| step.verdict == report.verdict)
        && report.verdict != Verdict::Verified
    {
        let (name, detail) = (escape(step.name), escape(&step.detail));
        writeln!(out, "<p>First so decided by step {}, {name}: {detail}</p>", step.number)?;
    }
    let origin = report.origin.as_deref().unwrap_or("not known");
    let size = report.size.to_string();
    out.push_str("<h2>What was audited, and what was trusted</h2>\n<table>\n");
    let rows = [("log", origin), ("entries", &size), ("ended", &around.ended)];
    let trusted = around.trusted.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in rows.into_iter().chain(trusted) {
        let (name, value) = (escape(name), escape(value));
        writeln!(out, "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>")?;
    }
    let program = concat!("sealwire-audit ", env!("CARGO_PKG_VERSION"));
    writeln!(out, "<tr><th scope=\"row\">program</th><td>{program}</td></tr>\n</table>")?;
    out.push_str(
        "<h2>What was checked</h2>\n<table>\n<tr><th scope=\"col\">step</th>\
         <th scope=\"col\">what</th><th scope=\"col\">outcome</th>\
         <th scope=\"col\">detail</th></tr>\n",
    );
    for step in &report.steps {
        let (name, detail) = (escape(step.name), escape(&step.detail));
        writeln!(
            out,
            "<tr><td>{}</td><th scope=\"row\">{name}</th><td>{}</td><td>{detail}</td></tr>",
            step.number,
            word(step.verdict)
        )?;
    }
    out.push_str("</table>\n<h2>What this does not prove, even where all is verified</h2>\n<ul>\n");
    for line in &report.not_proved {
        writeln!(out, "<li>{}</li>", escape(line))?;
    }
    out.push_str("</ul>\n</body>\n</html>\n");
    Ok(())
}

const fn conclusion(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "✔ VERIFIED: every step that was taken holds",
        Verdict::Undecided => "? UNDECIDED: something that is needed is missing",
        Verdict::Refuted => "✘ REFUTED: this is not what it claims to be",
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "✔ verified",
        Verdict::Undecided => "? undecided",
        Verdict::Refuted => "✘ refuted",
    }
}

/// Text as it may stand in an element.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push_str("<br/>"),
            c if spelt_out(c) => {
                let _ = write!(out, "[U+{:04X}]", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Control characters, and those that are not seen or turn the direction of writing.
const fn spelt_out(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Around {
        Around {
            subject: "data <of> ID".into(),
            trusted: vec![("register", "5f1c".into()), ("witnesses", "2".into())],
            ended: "2026-11-23T12:00:00Z".into(),
        }
    }

    /// Whether every element that is opened is closed, in order.
    fn well_formed(html: &str) -> bool {
        let mut open: Vec<&str> = Vec::new();
        for tag in html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|t| t.0) {
            if tag.starts_with('!') || tag.ends_with('/') {
                continue;
            }
            match tag.strip_prefix('/') {
                Some(name) if open.pop() != Some(name) => return false,
                Some(_) => {}
                None => open.push(tag.split(' ').next().unwrap_or_default()),
            }
        }
        open.is_empty()
    }

    #[test]
    fn a_report_has_every_step_what_was_trusted_and_what_is_not_proved() {
        for (verdict, said) in [
            (Verdict::Verified, "VERIFIED"),
            (Verdict::Undecided, "UNDECIDED"),
            (Verdict::Refuted, "REFUTED"),
        ] {
            let mut report = Report::empty(vec!["that it is true"]);
            report.origin = Some("test.example/ID".into());
            report.add(1, "trust file", Verdict::Verified, "read".into());
            report.add(2, "register", verdict, "one chain".into());
            let html = html(&report, &around());
            for part in [
                said,
                "trust file",
                "one chain",
                "that it is true",
                "test.example/ID",
                "5f1c",
                "witnesses",
                "2026-11-23T12:00:00Z",
                "data &lt;of&gt; ID",
            ] {
                assert!(html.contains(part), "{part} in {html}");
            }
            assert!(well_formed(&html), "{html}");
            assert_eq!(html.contains("First so decided by step 2"), verdict != Verdict::Verified);
        }
    }

    #[test]
    fn nothing_from_the_audited_files_becomes_markup_or_hides() {
        let mut report = Report::empty(Vec::new());
        let hostile = "<script>alert('x')</script> \" & \u{202e}gnp.exe \u{0} \u{200b} <img src=x>";
        report.origin = Some(hostile.into());
        report.add(1, "register", Verdict::Refuted, hostile.into());
        let html = html(&report, &Around { subject: hostile.into(), ..around() });
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(!html.contains('\u{202e}') && html.contains("[U+202E]gnp"), "{html}");
        assert!(html.contains("[U+0000]") && html.contains("[U+200B]"), "{html}");
        assert!(well_formed(&html), "{html}");
        for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            let own = html.replace("&lt;img src=x&gt;", "");
            assert!(!own.contains(outside), "{outside} in {own}");
        }
    }
}
