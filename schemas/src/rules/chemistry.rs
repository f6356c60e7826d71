//! Samples, results and substances.

use super::{Reads, Rule};
use crate::breach::chemistry;
use crate::finding::Severity;
use crate::language::words;
use crate::substance;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-037",
        id: "result-unit",
        severity: Severity::Error,
        text: words(
            "A numeric result states its unit and basis",
            "Un résultat numérique indique son unité et sa base",
            "Hasil berupa angka menyebutkan satuan dan dasarnya",
        ),
        hint: words(
            "add unitCode and basis",
            "ajouter unitCode et basis",
            "tambahkan unitCode dan basis",
        ),
        reads: Reads::Objects(
            &[&["analyte", "value", "unitCode", "basis"]],
            chemistry::without_unit,
        ),
    },
    Rule {
        number: "SW-038",
        id: "below-detection-limit",
        severity: Severity::Error,
        text: words(
            "A result below its limit of detection carries the qualifier <",
            "Un résultat inférieur à la limite de détection porte le signe <",
            "Hasil di bawah batas deteksi memakai tanda <",
        ),
        hint: words(
            "set qualifier to < and value to the limit of detection",
            "donner à qualifier la valeur < et à value la limite de détection",
            "isi qualifier dengan < dan value dengan batas deteksi",
        ),
        reads: Reads::Objects(
            &[&["value", "qualifier", "limitOfDetection"]],
            chemistry::below_detection,
        ),
    },
    Rule {
        number: "SW-039",
        id: "below-quantification-limit",
        severity: Severity::Warning,
        text: words(
            "A result between its limits of detection and quantification is no exact number",
            "Un résultat entre les limites de détection et de quantification n'est pas un nombre exact",
            "Hasil di antara batas deteksi dan batas kuantifikasi bukan angka pasti",
        ),
        hint: words(
            "set qualifier to < and value to the limit of quantification, or qualifier to detected",
            "donner à qualifier la valeur < et à value la limite de quantification, ou à qualifier la valeur detected",
            "isi qualifier dengan < dan value dengan batas kuantifikasi, atau qualifier dengan detected",
        ),
        reads: Reads::Objects(
            &[&["value", "qualifier", "limitOfDetection", "limitOfQuantification"]],
            chemistry::below_quantification,
        ),
    },
    Rule {
        number: "SW-040",
        id: "limit-order",
        severity: Severity::Error,
        text: words(
            "A limit of detection is at most the limit of quantification",
            "Une limite de détection ne dépasse pas la limite de quantification",
            "Batas deteksi tidak melebihi batas kuantifikasi",
        ),
        hint: words(
            "exchange the two limits, or mend one",
            "échanger les deux limites, ou en corriger une",
            "tukar kedua batas, atau perbaiki salah satunya",
        ),
        reads: Reads::Objects(&[&["limitOfDetection", "limitOfQuantification"]], chemistry::range),
    },
    Rule {
        number: "SW-041",
        id: "result-sample",
        severity: Severity::Error,
        text: words(
            "A result belongs to a sample of the record",
            "Un résultat se rapporte à un échantillon de l'enregistrement",
            "Suatu hasil merujuk pada sampel dalam data",
        ),
        hint: words(
            "give sampleSequence the sequenceNumeric of a sample",
            "donner à sampleSequence le sequenceNumeric d'un échantillon",
            "isi sampleSequence dengan sequenceNumeric sebuah sampel",
        ),
        reads: Reads::Paths(
            &["/result/*/sampleSequence", "/sample/*/sequenceNumeric"],
            chemistry::result_without_sample,
        ),
    },
    Rule {
        number: "SW-042",
        id: "mass-fraction-sum",
        severity: Severity::Error,
        text: words(
            "The mass fractions of one thing are together at most 100 per cent",
            "Les fractions massiques d'une même chose font au plus 100 pour cent",
            "Fraksi massa satu barang berjumlah paling banyak 100 persen",
        ),
        hint: words(
            "mend the fractions; they are in per cent",
            "corriger les fractions ; elles sont en pour cent",
            "perbaiki fraksinya; satuannya persen",
        ),
        reads: Reads::Paths(
            &[
                "/goodsItem/*/substance/*/massFraction",
                "/suspectedGoods/*/substance/*/massFraction",
            ],
            chemistry::more_than_the_whole,
        ),
    },
    Rule {
        number: "SW-043",
        id: "isomer-connectivity",
        severity: Severity::Error,
        text: words(
            "Whether a compared isomer has the same connectivity follows from the first block of the InChIKeys",
            "La connectivité commune d'un isomère comparé résulte du premier bloc des InChIKey",
            "Kesamaan konektivitas isomer pembanding ditentukan oleh blok pertama InChIKey",
        ),
        hint: words(
            "compare the first 14 letters with those of the substances of the record",
            "comparer les 14 premières lettres avec celles des substances de l'enregistrement",
            "bandingkan 14 huruf pertama dengan milik zat dalam data",
        ),
        reads: Reads::Paths(
            &[
                "/substance/*/inchiKey",
                "/isomerCheck/*/comparedInchiKey",
                "/isomerCheck/*/sameConnectivity",
            ],
            chemistry::isomer_disagrees,
        ),
    },
    Rule {
        number: "SW-044",
        id: "isomer-pair",
        severity: Severity::Warning,
        text: words(
            "Substances of one record that differ in their stereochemistry or isotopes alone are told apart",
            "Des substances d'un enregistrement qui ne diffèrent que par la stéréochimie ou les isotopes sont distinguées",
            "Zat dalam satu data yang hanya berbeda stereokimia atau isotopnya dibedakan",
        ),
        hint: words(
            "check which of them was identified; give the other the role excluded, or an isomerCheck",
            "vérifier laquelle a été identifiée ; donner à l'autre le rôle excluded, ou un isomerCheck",
            "periksa mana yang teridentifikasi; beri yang lain peran excluded, atau sebuah isomerCheck",
        ),
        reads: Reads::Paths(chemistry::SUBSTANCES, chemistry::isomers_mixed),
    },
    Rule {
        number: "SW-077",
        id: "substance-agreement",
        severity: Severity::Warning,
        text: words(
            "What a record says of a substance agrees with the table of substances",
            "Ce qu'un enregistrement dit d'une substance s'accorde avec la table des substances",
            "Apa yang dikatakan data tentang suatu zat sesuai dengan tabel zat",
        ),
        hint: words(
            "find out which is right; a salt or an isomer has a name, a number and a key of its own",
            "vérifier ce qui est exact ; un sel ou un isomère a un nom, un numéro et une clé propres",
            "cari tahu mana yang benar; garam atau isomer memiliki nama, nomor dan kunci sendiri",
        ),
        reads: Reads::Paths(substance::READS, substance::disagrees),
    },
];
