//! Days and times, and their order.

use super::{Reads, Rule};
use crate::breach::time;
use crate::check;
use crate::finding::Severity;
use crate::language::words;
use crate::tree::Check;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-028",
        id: "day-exists",
        severity: Severity::Error,
        text: words(
            "A day exists in the calendar",
            "Un jour existe dans le calendrier",
            "Suatu hari ada dalam kalender",
        ),
        hint: words(
            "write year, month and day, as in 2020-12-01",
            "écrire l'année, le mois et le jour, comme 2020-12-01",
            "tulis tahun, bulan dan hari, seperti 2020-12-01",
        ),
        reads: Reads::Checked(Check::Day, |text| !dated(text) || check::day(text)),
    },
    Rule {
        number: "SW-029",
        id: "instant-exists",
        severity: Severity::Error,
        text: words(
            "A date and time exists in the calendar",
            "Une date et heure existe dans le calendrier",
            "Tanggal dan waktu ada dalam kalender",
        ),
        hint: words(
            "write the day, the time and its offset from UTC, as in 2020-12-01T09:10:00+07:00",
            "écrire le jour, l'heure et son décalage de l'UTC, comme 2020-12-01T09:10:00+07:00",
            "tulis hari, waktu dan selisihnya dari UTC, seperti 2020-12-01T09:10:00+07:00",
        ),
        reads: Reads::Checked(Check::Instant, |text| !dated(text) || check::instant(text)),
    },
    Rule {
        number: "SW-030",
        id: "event-day",
        severity: Severity::Error,
        text: words(
            "The day of an event is that of its exact time",
            "Le jour d'un événement est celui de son heure exacte",
            "Hari suatu kejadian sama dengan hari pada waktu pastinya",
        ),
        hint: words(
            "give both in local time at the place of the event",
            "donner les deux en heure locale du lieu de l'événement",
            "berikan keduanya dalam waktu setempat di tempat kejadian",
        ),
        reads: Reads::Objects(&[&["date", "dateTime"]], time::other_day),
    },
    Rule {
        number: "SW-031",
        id: "date-order",
        severity: Severity::Error,
        text: words(
            "Issue comes before review and feedback, and review before the end of retention",
            "L'émission précède le réexamen et le retour, et le réexamen la fin de conservation",
            "Penerbitan mendahului peninjauan dan umpan balik, dan peninjauan mendahului akhir penyimpanan",
        ),
        hint: words(
            "mend the day that is out of order",
            "corriger le jour qui n'est pas dans l'ordre",
            "perbaiki hari yang tidak sesuai urutan",
        ),
        reads: Reads::Paths(
            &[
                "/issueDate",
                "/handling/reviewDate",
                "/handling/retainUntil",
                "/handling/feedbackDue",
            ],
            time::dates_out_of_order,
        ),
    },
    Rule {
        number: "SW-032",
        id: "review-within-year",
        severity: Severity::Error,
        text: words(
            "Review is at most a year after issue",
            "Le réexamen a lieu un an au plus après l'émission",
            "Peninjauan paling lambat satu tahun setelah penerbitan",
        ),
        hint: words(
            "set reviewDate to at most a year after issueDate",
            "fixer reviewDate à un an au plus après issueDate",
            "tetapkan reviewDate paling lambat satu tahun setelah issueDate",
        ),
        reads: Reads::Paths(&["/issueDate", "/handling/reviewDate"], time::review_too_late),
    },
    Rule {
        number: "SW-033",
        id: "event-before-issue",
        severity: Severity::Error,
        text: words(
            "What a record tells of has happened when it is issued",
            "Les faits rapportés ont eu lieu à l'émission de l'enregistrement",
            "Hal yang dilaporkan telah terjadi saat data diterbitkan",
        ),
        hint: words(
            "mend the day, or issue the record later",
            "corriger le jour, ou émettre l'enregistrement plus tard",
            "perbaiki harinya, atau terbitkan data kemudian",
        ),
        reads: Reads::Paths(time::EVENTS, time::event_after_issue),
    },
    Rule {
        number: "SW-034",
        id: "due-after-issue",
        severity: Severity::Error,
        text: words(
            "A day by which something is promised or asked for is not before issue",
            "Une échéance promise ou demandée ne précède pas l'émission",
            "Tenggat yang dijanjikan atau diminta tidak mendahului penerbitan",
        ),
        hint: words(
            "set the day on or after issueDate",
            "fixer le jour à issueDate ou après",
            "tetapkan hari pada atau setelah issueDate",
        ),
        reads: Reads::Paths(time::DUE, time::before_issue),
    },
    Rule {
        number: "SW-035",
        id: "expiry-before-issue",
        severity: Severity::Error,
        text: words(
            "A record has not run out when it is issued",
            "Un enregistrement n'est pas expiré à son émission",
            "Data belum kedaluwarsa saat diterbitkan",
        ),
        hint: words(
            "mend validUntil or until, or do not issue the record",
            "corriger validUntil ou until, ou ne pas émettre l'enregistrement",
            "perbaiki validUntil atau until, atau jangan terbitkan data",
        ),
        reads: Reads::Paths(time::EXPIRY, time::before_issue),
    },
    Rule {
        number: "SW-036",
        id: "period-order",
        severity: Severity::Error,
        text: words(
            "A period begins before it ends",
            "Une période commence avant de finir",
            "Suatu jangka waktu dimulai sebelum berakhir",
        ),
        hint: words(
            "exchange the two days, or mend one",
            "échanger les deux jours, ou en corriger un",
            "tukar kedua hari, atau perbaiki salah satunya",
        ),
        reads: Reads::Objects(
            &[
                &["validFrom", "validUntil"],
                &["searchedFrom", "searchedUntil"],
                &["periodFrom", "periodUntil"],
                &["from", "until"],
                &["startDate", "endDate"],
                &["receivedDate", "analysedDate"],
                &["receivedDate", "outcomeDate"],
                &["interimReplyDue", "replyDue"],
            ],
            time::period,
        ),
    },
];

/// Whether a text begins as a day does; of another, its schema says that it is none.
fn dated(text: &str) -> bool {
    let mut bytes = text.bytes().take(10).enumerate();
    text.len() >= 10
        && bytes.all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
}
