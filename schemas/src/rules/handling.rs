//! Who may see and use a record.

use super::{Reads, Rule};
use crate::breach::{free_text, handling};
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-050",
        id: "handling-present",
        severity: Severity::Error,
        text: words(
            "A record says how it may be handled: label, purposes, legal basis, review and retention",
            "Un enregistrement dit comment il peut être traité : marquage, finalités, base juridique, réexamen et conservation",
            "Data menyebutkan cara penanganannya: label, tujuan, dasar hukum, peninjauan dan penyimpanan",
        ),
        hint: words(
            "add the handling block; see the examples",
            "ajouter le bloc handling ; voir les exemples",
            "tambahkan blok handling; lihat contohnya",
        ),
        reads: Reads::Paths(
            &[
                "/handling/tlp",
                "/handling/pap",
                "/handling/purpose/*",
                "/handling/legalBasis",
                "/handling/reviewDate",
                "/handling/retainUntil",
            ],
            handling::handling_missing,
        ),
    },
    Rule {
        number: "SW-051",
        id: "red-audience",
        severity: Severity::Error,
        text: words(
            "A record labelled TLP:RED is for named recipients alone, and not for all members or for other bodies",
            "Un enregistrement TLP:RED est réservé à des destinataires nommés, non à tous les membres ni à d'autres organismes",
            "Data berlabel TLP:RED hanya untuk penerima yang disebut, bukan untuk semua anggota atau badan lain",
        ),
        hint: words(
            "choose another label, or take the wider audience away",
            "choisir un autre marquage, ou retirer le public plus large",
            "pilih label lain, atau hapus khalayak yang lebih luas",
        ),
        reads: Reads::Paths(handling::AUDIENCE, handling::red_for_all),
    },
    Rule {
        number: "SW-052",
        id: "person-name-in-text",
        severity: Severity::Warning,
        text: words(
            "Free text names no person",
            "Le texte libre ne nomme personne",
            "Teks bebas tidak menyebut nama orang",
        ),
        hint: words(
            "give the function instead of the name, or use the field person",
            "donner la fonction au lieu du nom, ou utiliser le champ person",
            "sebutkan jabatan sebagai ganti nama, atau gunakan ruas person",
        ),
        reads: Reads::FreeText(free_text::name),
    },
    Rule {
        number: "SW-053",
        id: "personal-document-in-text",
        severity: Severity::Warning,
        text: words(
            "Free text has no number of a passport or identity card",
            "Le texte libre ne contient pas de numéro de passeport ou de carte d'identité",
            "Teks bebas tidak memuat nomor paspor atau kartu identitas",
        ),
        hint: words(
            "take the number out, or use documentId of the field person",
            "retirer le numéro, ou utiliser documentId du champ person",
            "hapus nomornya, atau gunakan documentId pada ruas person",
        ),
        reads: Reads::FreeText(free_text::document),
    },
    Rule {
        number: "SW-054",
        id: "telephone-in-text",
        severity: Severity::Warning,
        text: words(
            "Free text has no telephone number",
            "Le texte libre ne contient pas de numéro de téléphone",
            "Teks bebas tidak memuat nomor telepon",
        ),
        hint: words(
            "take the number out; members reach each other by contactOffice",
            "retirer le numéro ; les membres se joignent par contactOffice",
            "hapus nomornya; anggota saling menghubungi melalui contactOffice",
        ),
        reads: Reads::FreeText(free_text::telephone),
    },
    Rule {
        number: "SW-055",
        id: "email-in-text",
        severity: Severity::Warning,
        text: words(
            "Free text has no e-mail address",
            "Le texte libre ne contient pas d'adresse électronique",
            "Teks bebas tidak memuat alamat surel",
        ),
        hint: words(
            "take the address out; members reach each other by contactOffice",
            "retirer l'adresse ; les membres se joignent par contactOffice",
            "hapus alamatnya; anggota saling menghubungi melalui contactOffice",
        ),
        reads: Reads::FreeText(free_text::email),
    },
    Rule {
        number: "SW-056",
        id: "picture-without-person",
        severity: Severity::Error,
        text: words(
            "A picture or video says that no person can be recognised in it",
            "Une image ou vidéo indique que personne n'y est reconnaissable",
            "Gambar atau video menyatakan bahwa tidak ada orang yang dapat dikenali di dalamnya",
        ),
        hint: words(
            "set personVisible to false, or leave out a picture that shows a person",
            "donner à personVisible la valeur false, ou omettre une image qui montre une personne",
            "isi personVisible dengan false, atau hapus gambar yang memperlihatkan orang",
        ),
        reads: Reads::Objects(&[&["mediaType", "personVisible"]], handling::person_on_picture),
    },
    Rule {
        number: "SW-122",
        id: "birth-date-in-text",
        severity: Severity::Warning,
        text: words(
            "Free text has no date of birth",
            "Le texte libre ne contient pas de date de naissance",
            "Teks bebas tidak memuat tanggal lahir",
        ),
        hint: words(
            "take the date out, or use the field person",
            "retirer la date, ou utiliser le champ person",
            "hapus tanggalnya, atau gunakan ruas person",
        ),
        reads: Reads::FreeText(free_text::birth),
    },
    Rule {
        number: "SW-123",
        id: "account-in-text",
        severity: Severity::Warning,
        text: words(
            "Free text has no number of a bank account or payment card",
            "Le texte libre ne contient pas de numéro de compte bancaire ou de carte de paiement",
            "Teks bebas tidak memuat nomor rekening bank atau kartu pembayaran",
        ),
        hint: words("take the number out", "retirer le numéro", "hapus nomornya"),
        reads: Reads::FreeText(free_text::account),
    },
];
