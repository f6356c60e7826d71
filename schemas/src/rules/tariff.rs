//! Classifications and what they bring about.

use super::{Reads, Rule};
use crate::breach::tariff;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-105",
        id: "classification-confirmed",
        severity: Severity::Error,
        text: words(
            "A declared code is confirmed just when it is the code that was found",
            "Un code déclaré est confirmé si et seulement s'il est celui qui a été trouvé",
            "Kode yang diberitahukan dikonfirmasi hanya bila sama dengan kode yang ditemukan",
        ),
        hint: words(
            "mend confirmed, or one of the codes",
            "corriger confirmed, ou l'un des codes",
            "perbaiki confirmed, atau salah satu kode",
        ),
        reads: Reads::Kind(
            "classification-outcome",
            &[
                "/declared/classificationId",
                "/declared/nationalCode",
                "/outcome/classificationId",
                "/outcome/nationalCode",
                "/outcome/confirmed",
            ],
            tariff::confirmed,
        ),
    },
    Rule {
        number: "SW-106",
        id: "national-code",
        severity: Severity::Error,
        text: words(
            "A code of a national tariff begins with its code of the Harmonized System",
            "Un code de tarif national commence par son code SH",
            "Kode tarif nasional dimulai dengan kode Harmonized System-nya",
        ),
        hint: words(
            "mend nationalCode or classificationId",
            "corriger nationalCode ou classificationId",
            "perbaiki nationalCode atau classificationId",
        ),
        reads: Reads::Objects(&[&["classificationId", "nationalCode"]], tariff::national_code),
    },
    Rule {
        number: "SW-107",
        id: "decision-day",
        severity: Severity::Error,
        text: words(
            "A classification that was decided states the day, and one that is proposed has none",
            "Un classement décidé indique le jour de la décision, un classement proposé n'en a pas",
            "Klasifikasi yang telah diputuskan menyebutkan harinya, yang masih diusulkan tidak",
        ),
        hint: words(
            "add decidedDate, or mend status",
            "ajouter decidedDate, ou corriger status",
            "tambahkan decidedDate, atau perbaiki status",
        ),
        reads: Reads::Objects(&[&["status", "decidedDate"]], tariff::without_decision),
    },
    Rule {
        number: "SW-108",
        id: "considered-outcome",
        severity: Severity::Error,
        text: words(
            "A code that was rejected, or an alternative, is not the code under which the goods fall",
            "Un code rejeté, ou une alternative, n'est pas le code dont relèvent les marchandises",
            "Kode yang ditolak, atau alternatif, bukan kode barang tersebut",
        ),
        hint: words(
            "mend bearing, or one of the codes",
            "corriger bearing, ou l'un des codes",
            "perbaiki bearing, atau salah satu kode",
        ),
        reads: Reads::Kind(
            "classification-outcome",
            &["/outcome/classificationId", "/considered"],
            tariff::considered,
        ),
    },
    Rule {
        number: "SW-109",
        id: "duty-direction",
        severity: Severity::Warning,
        text: words(
            "Duty falls short where the rate found is higher than the rate declared, and is refunded where it is lower",
            "Un droit manque si le taux trouvé dépasse le taux déclaré, et il est remboursé s'il est inférieur",
            "Bea kurang dibayar bila tarif yang ditemukan lebih tinggi daripada yang diberitahukan, dan dikembalikan bila lebih rendah",
        ),
        hint: words(
            "mend type, or exchange the two rates",
            "corriger type, ou échanger les deux taux",
            "perbaiki type, atau tukar kedua tarif",
        ),
        reads: Reads::Objects(&[&["type", "dutyRateDeclared", "dutyRateOutcome"]], tariff::duty),
    },
    Rule {
        number: "SW-110",
        id: "amount-currency",
        severity: Severity::Error,
        text: words(
            "An amount and its currency are stated together",
            "Un montant et sa monnaie sont indiqués ensemble",
            "Jumlah uang dan mata uangnya disebutkan bersama",
        ),
        hint: words(
            "add the one that is missing",
            "ajouter ce qui manque",
            "tambahkan yang belum ada",
        ),
        reads: Reads::Objects(&[&["type", "amount", "currencyCode"]], tariff::without_currency),
    },
    Rule {
        number: "SW-111",
        id: "legal-note",
        severity: Severity::Error,
        text: words(
            "A legal note is of one of the 21 sections, or of a chapter from 1 to 97 without 77",
            "Une note légale est de l'une des 21 sections, ou d'un chapitre de 1 à 97 sauf 77",
            "Catatan hukum berasal dari salah satu dari 21 bagian, atau dari bab 1 sampai 97 tanpa 77",
        ),
        hint: words(
            "mend number or level",
            "corriger number ou level",
            "perbaiki number atau level",
        ),
        reads: Reads::Objects(&[&["level", "number", "noteNumber"]], tariff::no_such_note),
    },
    Rule {
        number: "SW-112",
        id: "subheading-rule",
        severity: Severity::Warning,
        text: words(
            "Goods are classified in a subheading by general rule 6 besides the others",
            "Les marchandises sont classées dans une sous-position par la règle générale 6, en plus des autres",
            "Barang diklasifikasikan dalam subpos dengan ketentuan umum 6 di samping yang lain",
        ),
        hint: words(
            "add 6 to interpretativeRule",
            "ajouter 6 à interpretativeRule",
            "tambahkan 6 pada interpretativeRule",
        ),
        reads: Reads::Kind(
            "classification-outcome",
            &["/outcome/classificationId", "/interpretativeRule"],
            tariff::subheading_rule,
        ),
    },
    Rule {
        number: "SW-113",
        id: "limit-in-doubt",
        severity: Severity::Warning,
        text: words(
            "A value that a classification turns on differs from the legal limit by at least its uncertainty",
            "Une valeur dont dépend un classement s'écarte de la limite légale d'au moins son incertitude",
            "Nilai yang menentukan klasifikasi berbeda dari batas hukum sekurang-kurangnya sebesar ketidakpastiannya",
        ),
        hint: words(
            "measure with a smaller uncertainty, or say in the decision how doubt is treated",
            "mesurer avec une incertitude moindre, ou dire dans la décision comment le doute est traité",
            "ukur dengan ketidakpastian lebih kecil, atau sebutkan dalam keputusan cara menangani keraguan",
        ),
        reads: Reads::Objects(&[&["value", "uncertainty", "limitValue"]], tariff::limit_in_doubt),
    },
];
