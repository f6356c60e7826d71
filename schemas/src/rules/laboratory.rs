//! Methods of laboratories, what they can do, and what they did.

use super::{Reads, Rule};
use crate::breach::laboratory;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-097",
        id: "validation-figures",
        severity: Severity::Warning,
        text: words(
            "A method that is called validated or standard states the figures that its purpose asks for",
            "Une méthode dite validée ou normalisée indique les chiffres que demande son but",
            "Metode yang disebut tervalidasi atau baku menyebutkan angka yang dituntut tujuannya",
        ),
        hint: words(
            "state the figure, or a lower status",
            "indiquer le chiffre, ou un statut inférieur",
            "sebutkan angkanya, atau status yang lebih rendah",
        ),
        reads: Reads::Kind(
            "method-bulletin",
            &["/status", "/purposeOfMethod", "/performance"],
            laboratory::validated_without_figures,
        ),
    },
    Rule {
        number: "SW-098",
        id: "validation-laboratories",
        severity: Severity::Error,
        text: words(
            "Reproducibility and validation between laboratories take at least two of them, and each measures at least once",
            "La reproductibilité et la validation entre laboratoires en demandent au moins deux, et chacun mesure au moins une fois",
            "Ketertiruan dan validasi antarlaboratorium memerlukan sekurang-kurangnya dua laboratorium, dan masing-masing mengukur sekurang-kurangnya sekali",
        ),
        hint: words(
            "mend laboratoryQuantity or replicateQuantity, or the claim",
            "corriger laboratoryQuantity ou replicateQuantity, ou ce qui est affirmé",
            "perbaiki laboratoryQuantity atau replicateQuantity, atau pernyataannya",
        ),
        reads: Reads::Kind(
            "method-bulletin",
            &[
                "/status",
                "/performance/*/reproducibility",
                "/performance/*/replicateQuantity",
                "/performance/*/laboratoryQuantity",
            ],
            laboratory::laboratories,
        ),
    },
    Rule {
        number: "SW-099",
        id: "accreditation-number",
        severity: Severity::Warning,
        text: words(
            "A laboratory with an accredited service states the number of its accreditation",
            "Un laboratoire dont un service est accrédité indique le numéro de son accréditation",
            "Laboratorium dengan layanan terakreditasi menyebutkan nomor akreditasinya",
        ),
        hint: words(
            "add accreditationId, or set accredited to false",
            "ajouter accreditationId, ou mettre accredited à false",
            "tambahkan accreditationId, atau isi accredited dengan false",
        ),
        reads: Reads::Kind(
            "capability",
            &["/laboratory/accreditationId", "/service/*/accredited"],
            laboratory::without_accreditation,
        ),
    },
    Rule {
        number: "SW-100",
        id: "service-once",
        severity: Severity::Warning,
        text: words(
            "A laboratory lists each service and each sort of field device once",
            "Un laboratoire cite une seule fois chaque service et chaque sorte d'appareil de terrain",
            "Laboratorium mencantumkan setiap layanan dan setiap jenis alat lapangan satu kali",
        ),
        hint: words(
            "say what tells the two apart, or put them together",
            "dire ce qui les distingue, ou les réunir",
            "sebutkan perbedaannya, atau gabungkan",
        ),
        reads: Reads::Kind("capability", laboratory::SERVICE, laboratory::listed_twice),
    },
    Rule {
        number: "SW-101",
        id: "activity-period",
        severity: Severity::Error,
        text: words(
            "A period that is counted has the form of its type, and is over when the record is issued",
            "Une période comptée a la forme de son type, et elle est finie à l'émission de l'enregistrement",
            "Jangka waktu yang dihitung berbentuk sesuai jenisnya, dan telah berakhir saat data diterbitkan",
        ),
        hint: words(
            "write 2026-W14, 2026-04, 2026-Q2 or 2026, and issue the record after its end",
            "écrire 2026-W14, 2026-04, 2026-Q2 ou 2026, et émettre l'enregistrement après la fin",
            "tulis 2026-W14, 2026-04, 2026-Q2 atau 2026, dan terbitkan data setelah berakhir",
        ),
        reads: Reads::Objects(&[&["periodType", "period", "issueDate"]], laboratory::period_open),
    },
    Rule {
        number: "SW-102",
        id: "activity-outcomes",
        severity: Severity::Error,
        text: words(
            "Samples as declared, not as declared and without a clear answer are together those that were analysed",
            "Les échantillons conformes, non conformes et sans réponse claire font ensemble ceux qui ont été analysés",
            "Sampel yang sesuai, tidak sesuai dan tanpa jawaban jelas berjumlah sama dengan yang dianalisis",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Objects(
            &[&[
                "analysedQuantity",
                "conformQuantity",
                "nonConformQuantity",
                "inconclusiveQuantity",
            ]],
            laboratory::outcomes,
        ),
    },
    Rule {
        number: "SW-103",
        id: "activity-turnaround",
        severity: Severity::Error,
        text: words(
            "A median turnaround is at most that of nine in ten, and there is none where nothing was analysed",
            "Un délai médian ne dépasse pas celui de neuf sur dix, et il n'y en a pas si rien n'a été analysé",
            "Median waktu penyelesaian tidak melebihi waktu sembilan dari sepuluh sampel, dan tidak ada bila tidak ada yang dianalisis",
        ),
        hint: words(
            "mend the turnaround, or take it out",
            "corriger le délai, ou le retirer",
            "perbaiki waktunya, atau hapus",
        ),
        reads: Reads::Objects(
            &[&["analysedQuantity", "medianTurnaround", "ninetiethTurnaround"]],
            laboratory::turnaround,
        ),
    },
    Rule {
        number: "SW-104",
        id: "activity-breakdown",
        severity: Severity::Error,
        text: words(
            "Each category, chapter and technique is counted once, and parts are together at most the count of all",
            "Chaque catégorie, chapitre et technique est compté une fois, et les parties font ensemble au plus le nombre total",
            "Setiap kategori, bab dan teknik dihitung satu kali, dan bagian-bagiannya berjumlah paling banyak sebesar keseluruhan",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Kind("activity-count", &["/count"], laboratory::rows_over_total),
    },
    Rule {
        number: "SW-119",
        id: "cannot-tell",
        severity: Severity::Warning,
        text: words(
            "What a method cannot tell apart are two substances, one of which it has figures of",
            "Ce qu'une méthode ne distingue pas, ce sont deux substances, dont elle chiffre l'une",
            "Yang tidak dapat dibedakan suatu metode adalah dua zat, salah satunya memiliki angka kinerja",
        ),
        hint: words(
            "name the analyte as in performance, and another substance in other",
            "nommer l'analyte comme dans performance, et une autre substance dans other",
            "sebut analit seperti dalam performance, dan zat lain dalam other",
        ),
        reads: Reads::Kind(
            "method-bulletin",
            &[
                "/performance/*/analyte",
                "/cannotTell/*/analyte",
                "/cannotTell/*/inchiKey",
                "/cannotTell/*/other",
                "/cannotTell/*/otherInchiKey",
            ],
            laboratory::told_from_itself,
        ),
    },
];
