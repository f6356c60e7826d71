//! Proficiency rounds and results.

use super::{Reads, Rule};
use crate::breach::proficiency;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-078",
        id: "round-dates",
        severity: Severity::Error,
        text: words(
            "Registration for a round ends before the items are sent, they are sent before results are due, and the report comes last",
            "L'inscription à un essai finit avant l'envoi des objets, l'envoi précède l'échéance des résultats, et le rapport vient en dernier",
            "Pendaftaran uji berakhir sebelum bahan dikirim, bahan dikirim sebelum batas hasil, dan laporan menyusul terakhir",
        ),
        hint: words(
            "mend the day that is out of order",
            "corriger le jour qui n'est pas dans l'ordre",
            "perbaiki hari yang tidak sesuai urutan",
        ),
        reads: Reads::Objects(
            &[&["registrationUntil", "dispatchDate", "resultsUntil", "reportDate"]],
            proficiency::days_out_of_order,
        ),
    },
    Rule {
        number: "SW-079",
        id: "round-answer-told",
        severity: Severity::Error,
        text: words(
            "A round that still takes results tells neither the assigned values nor what results came in",
            "Un essai qui accepte encore des résultats ne dit ni les valeurs assignées ni les résultats reçus",
            "Uji yang masih menerima hasil tidak memberitahukan nilai acuan maupun hasil yang telah masuk",
        ),
        hint: words(
            "take the figure out until the round is closed",
            "retirer la valeur jusqu'à la clôture de l'essai",
            "hapus angkanya sampai uji ditutup",
        ),
        reads: Reads::Kind("proficiency-round", proficiency::ANSWERS, proficiency::answer_told),
    },
    Rule {
        number: "SW-080",
        id: "round-codes",
        severity: Severity::Error,
        text: words(
            "Test items and measurands have a code each, and a measurand belongs to a test item of the round",
            "Chaque objet d'essai et chaque mesurande a son propre code, et un mesurande se rapporte à un objet de l'essai",
            "Setiap bahan uji dan besaran ukur memiliki kode sendiri, dan besaran ukur merujuk pada bahan uji dalam putaran itu",
        ),
        hint: words(
            "give itemCode the code of a test item, and use no code twice",
            "donner à itemCode le code d'un objet d'essai, sans répéter de code",
            "isi itemCode dengan kode sebuah bahan uji, dan jangan pakai kode dua kali",
        ),
        reads: Reads::Kind(
            "proficiency-round",
            &["/testItem/*/code", "/measurand/*/code", "/measurand/*/itemCode"],
            proficiency::codes_without_item,
        ),
    },
    Rule {
        number: "SW-081",
        id: "assigned-uncertainty",
        severity: Severity::Warning,
        text: words(
            "An assigned value has a standard uncertainty, of at most 0.3 of the standard deviation for assessment",
            "Une valeur assignée a une incertitude-type, d'au plus 0,3 fois l'écart-type pour l'évaluation",
            "Nilai acuan memiliki ketidakpastian baku, paling besar 0,3 kali simpangan baku penilaian",
        ),
        hint: words(
            "state assignedUncertainty; if it is larger, assess with z' or zeta",
            "indiquer assignedUncertainty ; si elle est plus grande, évaluer avec z' ou zêta",
            "sebutkan assignedUncertainty; bila lebih besar, nilai dengan z' atau zeta",
        ),
        reads: Reads::Objects(
            &[&["assignedValue", "assignedUncertainty", "sigma"]],
            proficiency::assigned_uncertainty,
        ),
    },
    Rule {
        number: "SW-082",
        id: "assessment-counts",
        severity: Severity::Error,
        text: words(
            "The assessments of a measurand add up to its results, and no more results came in than laboratories take part",
            "Les évaluations d'un mesurande font ensemble le nombre de ses résultats, et il n'y a pas plus de résultats que de laboratoires participants",
            "Penilaian suatu besaran ukur berjumlah sama dengan hasilnya, dan hasil tidak lebih banyak daripada laboratorium peserta",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Kind(
            "proficiency-round",
            &[
                "/participantQuantity",
                "/measurand/*/resultQuantity",
                "/measurand/*/satisfactoryQuantity",
                "/measurand/*/questionableQuantity",
                "/measurand/*/unsatisfactoryQuantity",
            ],
            proficiency::assessed,
        ),
    },
    Rule {
        number: "SW-083",
        id: "robust-statistics",
        severity: Severity::Warning,
        text: words(
            "Robust statistics come from at least 12 results",
            "Les statistiques robustes viennent d'au moins 12 résultats",
            "Statistik tegar berasal dari sekurang-kurangnya 12 hasil",
        ),
        hint: words(
            "with fewer, set the value and the deviation independently of the results",
            "avec moins, fixer la valeur et l'écart-type indépendamment des résultats",
            "bila kurang, tetapkan nilai dan simpangan secara terpisah dari hasil",
        ),
        reads: Reads::Objects(
            &[&["resultQuantity", "robustMean", "robustDeviation"]],
            proficiency::few_results,
        ),
    },
];
