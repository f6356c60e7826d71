//! Identifiers: form and check digit, each alone.

use super::{Reads, Rule};
use crate::breach::{edition, shipment};
use crate::check;
use crate::finding::Severity;
use crate::language::words;
use crate::tree::Check;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-001",
        id: "hs-structure",
        severity: Severity::Error,
        text: words(
            "A Harmonized System code has a chapter from 01 to 97 without 77, and four or six digits",
            "Un code SH a un chapitre de 01 à 97 sauf 77, et quatre ou six chiffres",
            "Kode HS memiliki bab 01 sampai 97 tanpa 77, dan empat atau enam angka",
        ),
        hint: words(
            "check the code against the nomenclature of the edition stated",
            "vérifier le code dans la nomenclature de l'édition indiquée",
            "periksa kode dalam nomenklatur edisi yang disebutkan",
        ),
        reads: Reads::Checked(Check::Hs, check::hs),
    },
    Rule {
        number: "SW-002",
        id: "hs-listed",
        severity: Severity::Error,
        text: words(
            "A Harmonized System code is in the edition that the record states, or else in that of 2022",
            "Un code SH figure dans l'édition que l'enregistrement indique, sinon dans celle de 2022",
            "Kode HS terdapat dalam edisi yang disebutkan data, atau jika tidak, dalam edisi 2022",
        ),
        hint: words(
            "use a code of that edition, or state in hsEdition the edition whose code it is",
            "utiliser un code de cette édition, ou indiquer dans hsEdition celle dont il est",
            "gunakan kode edisi itu, atau sebutkan dalam hsEdition edisi asal kodenya",
        ),
        reads: Reads::CheckedBy(Check::Hs, "/hsEdition", edition::unlisted),
    },
    Rule {
        number: "SW-003",
        id: "hs-edition-stated",
        severity: Severity::Warning,
        text: words(
            "A record that classifies goods states the edition of the Harmonized System",
            "Un enregistrement qui classe des marchandises indique l'édition du SH",
            "Data yang mengklasifikasikan barang menyebutkan edisi HS",
        ),
        hint: words("add hsEdition", "ajouter hsEdition", "tambahkan hsEdition"),
        reads: Reads::Beside(Check::Hs, "/hsEdition"),
    },
    Rule {
        number: "SW-004",
        id: "container-check-digit",
        severity: Severity::Error,
        text: words(
            "A container number has the check digit of ISO 6346",
            "Un numéro de conteneur porte le chiffre de contrôle ISO 6346",
            "Nomor peti kemas memiliki angka pemeriksa ISO 6346",
        ),
        hint: words(
            "read the number again; its last digit is computed from the others",
            "relire le numéro ; son dernier chiffre se calcule à partir des autres",
            "baca ulang nomornya; angka terakhir dihitung dari angka lainnya",
        ),
        reads: Reads::Checked(Check::Container, check::container),
    },
    Rule {
        number: "SW-005",
        id: "cas-check-digit",
        severity: Severity::Error,
        text: words(
            "A CAS registry number has the right check digit",
            "Un numéro CAS porte le bon chiffre de contrôle",
            "Nomor CAS memiliki angka pemeriksa yang benar",
        ),
        hint: words(
            "read the number again; its last digit is computed from the others",
            "relire le numéro ; son dernier chiffre se calcule à partir des autres",
            "baca ulang nomornya; angka terakhir dihitung dari angka lainnya",
        ),
        reads: Reads::Checked(Check::Cas, check::cas),
    },
    Rule {
        number: "SW-006",
        id: "ec-number-check-digit",
        severity: Severity::Error,
        text: words(
            "An EC number has the right check digit",
            "Un numéro CE porte le bon chiffre de contrôle",
            "Nomor EC memiliki angka pemeriksa yang benar",
        ),
        hint: words(
            "read the number again; its last digit is computed from the others",
            "relire le numéro ; son dernier chiffre se calcule à partir des autres",
            "baca ulang nomornya; angka terakhir dihitung dari angka lainnya",
        ),
        reads: Reads::Checked(Check::EcNumber, check::ec_number),
    },
    Rule {
        number: "SW-007",
        id: "cus-form",
        severity: Severity::Error,
        text: words(
            "A CUS number is seven digits, a hyphen and a digit",
            "Un numéro CUS a sept chiffres, un trait d'union et un chiffre",
            "Nomor CUS terdiri atas tujuh angka, tanda hubung dan satu angka",
        ),
        hint: words(
            "look the substance up in the European customs inventory of chemical substances",
            "chercher la substance dans l'inventaire douanier européen des substances chimiques",
            "cari zatnya dalam inventaris kepabeanan Eropa untuk zat kimia",
        ),
        reads: Reads::Checked(Check::Cus, check::cus),
    },
    Rule {
        number: "SW-008",
        id: "inchi-key-form",
        severity: Severity::Error,
        text: words(
            "An InChIKey is of the form of version 1",
            "Une InChIKey a la forme de la version 1",
            "InChIKey berbentuk seperti versi 1",
        ),
        hint: words(
            "copy the key whole; the letter before the last hyphen is A",
            "copier la clé entière ; la lettre avant le dernier trait d'union est A",
            "salin kuncinya secara utuh; huruf sebelum tanda hubung terakhir adalah A",
        ),
        reads: Reads::Checked(Check::InchiKey, check::inchi_key),
    },
    Rule {
        number: "SW-009",
        id: "imo-check-digit",
        severity: Severity::Error,
        text: words(
            "An IMO ship number has the right check digit",
            "Un numéro OMI porte le bon chiffre de contrôle",
            "Nomor kapal IMO memiliki angka pemeriksa yang benar",
        ),
        hint: words(
            "read the number again; its last digit is computed from the others",
            "relire le numéro ; son dernier chiffre se calcule à partir des autres",
            "baca ulang nomornya; angka terakhir dihitung dari angka lainnya",
        ),
        reads: Reads::Checked(Check::Imo, check::imo),
    },
    Rule {
        number: "SW-010",
        id: "vin-check-digit",
        severity: Severity::Warning,
        text: words(
            "A vehicle identification number has 17 characters without I, O and Q, and the check digit where the maker's region has one",
            "Un numéro de véhicule a 17 caractères sans I, O ni Q, et la clé si la région du constructeur l'impose",
            "Nomor rangka kendaraan memiliki 17 karakter tanpa I, O dan Q, serta angka pemeriksa bila wilayah pembuatnya menetapkan",
        ),
        hint: words(
            "read the number again on the vehicle, not on its papers",
            "relire le numéro sur le véhicule, non sur ses papiers",
            "baca ulang nomornya pada kendaraan, bukan pada suratnya",
        ),
        reads: Reads::Checked(Check::Vin, check::vin),
    },
    Rule {
        number: "SW-011",
        id: "air-waybill-check-digit",
        severity: Severity::Error,
        text: words(
            "The number of an air waybill has eleven digits, the last the remainder of the seven before it by 7",
            "Un numéro de lettre de transport aérien a onze chiffres, le dernier étant le reste par 7 des sept précédents",
            "Nomor surat muatan udara memiliki sebelas angka, yang terakhir adalah sisa bagi 7 dari tujuh angka sebelumnya",
        ),
        hint: words(
            "write prefix and number as in 020-43210985, or choose another typeCode",
            "écrire préfixe et numéro comme 020-43210985, ou choisir un autre typeCode",
            "tulis awalan dan nomor seperti 020-43210985, atau pilih typeCode lain",
        ),
        reads: Reads::Objects(&[&["id", "typeCode"]], shipment::air_waybill_number),
    },
    Rule {
        number: "SW-012",
        id: "postal-item-check-digit",
        severity: Severity::Warning,
        text: words(
            "The number of a postal item is of the form of UPU S10, with its check digit",
            "Un numéro d'envoi postal a la forme UPU S10, avec sa clé",
            "Nomor kiriman pos berbentuk UPU S10 beserta angka pemeriksanya",
        ),
        hint: words(
            "write the 13 characters under the bar code; for a courier's own number use the typeCode courier",
            "écrire les 13 caractères sous le code à barres ; pour un numéro propre au messager, le typeCode courier",
            "tulis 13 karakter di bawah kode batang; untuk nomor milik kurir gunakan typeCode courier",
        ),
        reads: Reads::Objects(&[&["id", "typeCode"]], shipment::postal_item_number),
    },
    Rule {
        number: "SW-013",
        id: "gtin-check-digit",
        severity: Severity::Error,
        text: words(
            "The number of a trade item (GTIN) has 8, 12, 13 or 14 digits and the right check digit",
            "Un code article (GTIN) a 8, 12, 13 ou 14 chiffres et la bonne clé",
            "Nomor barang dagang (GTIN) memiliki 8, 12, 13 atau 14 angka dan angka pemeriksa yang benar",
        ),
        hint: words(
            "read the number again; its last digit is computed from the others",
            "relire le numéro ; son dernier chiffre se calcule à partir des autres",
            "baca ulang nomornya; angka terakhir dihitung dari angka lainnya",
        ),
        reads: Reads::Checked(Check::Gtin, check::gtin),
    },
    Rule {
        number: "SW-014",
        id: "sscc-check-digit",
        severity: Severity::Error,
        text: words(
            "The number of a logistic unit (SSCC) has 18 digits and the right check digit",
            "Un numéro d'unité logistique (SSCC) a 18 chiffres et la bonne clé",
            "Nomor unit logistik (SSCC) memiliki 18 angka dan angka pemeriksa yang benar",
        ),
        hint: words(
            "write the 18 digits after (00) under the bar code",
            "écrire les 18 chiffres après (00) sous le code à barres",
            "tulis 18 angka setelah (00) di bawah kode batang",
        ),
        reads: Reads::Checked(Check::Sscc, check::sscc),
    },
    Rule {
        number: "SW-015",
        id: "lei-check-digits",
        severity: Severity::Error,
        text: words(
            "A legal entity identifier has the check digits of ISO 17442",
            "Un identifiant LEI porte les chiffres de contrôle ISO 17442",
            "Pengenal badan hukum (LEI) memiliki angka pemeriksa ISO 17442",
        ),
        hint: words(
            "read the identifier again; its last two digits are computed from the others",
            "relire l'identifiant ; ses deux derniers chiffres se calculent à partir des autres",
            "baca ulang pengenalnya; dua angka terakhir dihitung dari yang lainnya",
        ),
        reads: Reads::Checked(Check::Lei, check::lei),
    },
    Rule {
        number: "SW-016",
        id: "eori-form",
        severity: Severity::Error,
        text: words(
            "An EORI number is a country and up to 15 capital letters and digits",
            "Un numéro EORI est un pays suivi de 15 majuscules ou chiffres au plus",
            "Nomor EORI adalah negara dan paling banyak 15 huruf kapital atau angka",
        ),
        hint: words(
            "begin with the country that gave the number, and leave out blanks",
            "commencer par le pays qui a attribué le numéro, sans espaces",
            "awali dengan negara pemberi nomor, tanpa spasi",
        ),
        reads: Reads::Checked(Check::Eori, check::eori),
    },
    Rule {
        number: "SW-017",
        id: "ucr-form",
        severity: Severity::Warning,
        text: words(
            "A unique consignment reference is a digit of the year, a country and the company's own reference",
            "Une référence unique d'envoi est un chiffre de l'année, un pays et la référence de l'entreprise",
            "Referensi kiriman unik adalah satu angka tahun, negara dan referensi perusahaan",
        ),
        hint: words(
            "write it as in 0SG12345678A-ORDER17, without blanks",
            "l'écrire comme 0SG12345678A-ORDER17, sans espaces",
            "tulis seperti 0SG12345678A-ORDER17, tanpa spasi",
        ),
        reads: Reads::Checked(Check::Ucr, check::ucr),
    },
    Rule {
        number: "SW-018",
        id: "mrn-check-digit",
        severity: Severity::Warning,
        text: words(
            "A movement reference number has 18 characters and the check digit of ISO 6346",
            "Un numéro de référence du mouvement a 18 caractères et la clé ISO 6346",
            "Nomor referensi pergerakan memiliki 18 karakter dan angka pemeriksa ISO 6346",
        ),
        hint: words(
            "read the number again; some declaration systems compute no such digit",
            "relire le numéro ; certains systèmes ne calculent pas cette clé",
            "baca ulang nomornya; sebagian sistem pemberitahuan tidak menghitung angka ini",
        ),
        reads: Reads::Checked(Check::Mrn, check::mrn),
    },
];
