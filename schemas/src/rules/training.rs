//! Courses, what came of them, and knowledge.

use super::{Reads, Rule};
use crate::breach::training;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-072",
        id: "knowledge-review",
        severity: Severity::Warning,
        text: words(
            "The content of a knowledge item is not overdue for review when it is issued",
            "Le contenu d'une fiche n'est pas en retard de révision à son émission",
            "Isi butir pengetahuan belum lewat tenggat peninjauan saat diterbitkan",
        ),
        hint: words(
            "review the content and set contentReviewDate anew",
            "réviser le contenu et fixer à nouveau contentReviewDate",
            "tinjau isinya dan tetapkan kembali contentReviewDate",
        ),
        reads: Reads::Kind(
            "knowledge-item",
            &["/issueDate", "/contentReviewDate"],
            training::review_over,
        ),
    },
    Rule {
        number: "SW-073",
        id: "session-order",
        severity: Severity::Error,
        text: words(
            "Applications for a session are due before it starts",
            "Les candidatures à une session sont dues avant son début",
            "Pendaftaran suatu sesi ditutup sebelum dimulai",
        ),
        hint: words(
            "mend applicationDue or startDate",
            "corriger applicationDue ou startDate",
            "perbaiki applicationDue atau startDate",
        ),
        reads: Reads::Objects(
            &[&["applicationDue", "startDate"]],
            training::applications_after_start,
        ),
    },
    Rule {
        number: "SW-074",
        id: "seat-count",
        severity: Severity::Error,
        text: words(
            "A session has no more free seats, and gives no more to a member, than it has seats",
            "Une session n'a pas plus de places libres, ni par membre, que de places",
            "Sesi tidak memiliki kursi kosong, atau per anggota, lebih banyak daripada kursinya",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Objects(
            &[&["seatQuantity", "seatFreeQuantity", "seatPerMemberQuantity"]],
            training::seats,
        ),
    },
    Rule {
        number: "SW-075",
        id: "completion-counts",
        severity: Severity::Error,
        text: words(
            "No more complete, are assessed or answer than take part, and no more pass than are assessed",
            "Il n'y a pas plus d'achevés, d'évalués ou de réponses que de participants, ni plus de reçus que d'évalués",
            "Yang menyelesaikan, dinilai atau menjawab tidak lebih banyak daripada peserta, dan yang lulus tidak lebih banyak daripada yang dinilai",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Objects(
            &[
                &["enrolledQuantity", "completedQuantity", "assessedQuantity", "passedQuantity"],
                &["assessedQuantity", "passedQuantity", "passedLaterQuantity"],
                &["answerQuantity", "wouldRecommendQuantity"],
            ],
            training::completion,
        ),
    },
    Rule {
        number: "SW-076",
        id: "small-count",
        severity: Severity::Warning,
        text: words(
            "A count of one or two participants of a member and function may identify persons",
            "Un nombre d'un ou deux participants d'un membre et d'une fonction peut identifier des personnes",
            "Jumlah satu atau dua peserta dari satu anggota dan jabatan dapat mengenali orang",
        ),
        hint: words(
            "put small groups together, under a wider function",
            "regrouper les petits groupes sous une fonction plus large",
            "gabungkan kelompok kecil dalam jabatan yang lebih luas",
        ),
        reads: Reads::Objects(&[&["memberId", "function", "enrolledQuantity"]], training::few),
    },
];
