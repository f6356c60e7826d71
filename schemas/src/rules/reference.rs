//! References that laboratories ask each other for.

use super::{Reads, Rule};
use crate::breach::reference;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-114",
        id: "offer-content",
        severity: Severity::Error,
        text: words(
            "An offer is what its type says: a spectrum has one, a certified standard is certified, and a material is not sent electronically",
            "Une offre est ce que dit son type : un spectre en contient un, un étalon certifié l'est, et une matière n'est pas envoyée par voie électronique",
            "Penawaran sesuai jenisnya: spektrum disertakan, standar tersertifikasi memang tersertifikasi, dan bahan tidak dikirim secara elektronik",
        ),
        hint: words(
            "mend type or carriage, or add what is offered",
            "corriger type ou carriage, ou ajouter ce qui est offert",
            "perbaiki type atau carriage, atau tambahkan yang ditawarkan",
        ),
        reads: Reads::Kind("reference-offer", reference::OFFER, reference::offer_of_another),
    },
    Rule {
        number: "SW-115",
        id: "offer-answers",
        severity: Severity::Error,
        text: words(
            "An offer of a wanted item answers the record that asks for it",
            "Une offre pour un article demandé répond à l'enregistrement qui le demande",
            "Penawaran untuk barang yang dicari menjawab data yang memintanya",
        ),
        hint: words(
            "add a relation with verb answers, or take answersItem out",
            "ajouter une relation de verbe answers, ou retirer answersItem",
            "tambahkan relation dengan verb answers, atau hapus answersItem",
        ),
        reads: Reads::Kind(
            "reference-offer",
            &["/relation/verb", "/offered/*/answersItem"],
            reference::answers_nothing,
        ),
    },
    Rule {
        number: "SW-116",
        id: "reference-certificate",
        severity: Severity::Warning,
        text: words(
            "A certified reference material states its producer and certificate",
            "Un matériau de référence certifié indique son producteur et son certificat",
            "Bahan acuan tersertifikasi menyebutkan produsen dan sertifikatnya",
        ),
        hint: words(
            "add producer and certificateId, or mend type",
            "ajouter producer et certificateId, ou corriger type",
            "tambahkan producer dan certificateId, atau perbaiki type",
        ),
        reads: Reads::Objects(
            &[&["type", "producer", "certificateId"]],
            reference::without_certificate,
        ),
    },
    Rule {
        number: "SW-117",
        id: "reference-expiry",
        severity: Severity::Warning,
        text: words(
            "A reference material can be used until the offer of it ends",
            "Un matériau de référence est utilisable jusqu'à la fin de son offre",
            "Bahan acuan dapat dipakai sampai penawarannya berakhir",
        ),
        hint: words(
            "end the offer with expiryDate",
            "finir l'offre à expiryDate",
            "akhiri penawaran pada expiryDate",
        ),
        reads: Reads::Kind(
            "reference-offer",
            &["/availableUntil", "/offered/*/referenceMaterial/expiryDate"],
            reference::expires_first,
        ),
    },
    Rule {
        number: "SW-118",
        id: "wanted-identity",
        severity: Severity::Warning,
        text: words(
            "A known substance that is wanted has a number or a key, and an unknown one has none",
            "Une substance connue qui est demandée a un numéro ou une clé, une inconnue n'en a pas",
            "Zat yang dicari dan telah dikenal memiliki nomor atau kunci, yang belum dikenal tidak",
        ),
        hint: words(
            "add casNumber or inchiKey, or set identity to suspected",
            "ajouter casNumber ou inchiKey, ou donner à identity la valeur suspected",
            "tambahkan casNumber atau inchiKey, atau isi identity dengan suspected",
        ),
        reads: Reads::Objects(
            &[&["identity", "casNumber", "inchiKey"]],
            reference::identity_unknown,
        ),
    },
    Rule {
        number: "SW-120",
        id: "item-number-once",
        severity: Severity::Error,
        text: words(
            "An item that is wanted or offered, or a service, has a number of its own",
            "Un article demandé ou offert, ou un service, a son propre numéro",
            "Barang yang dicari atau ditawarkan, atau layanan, memiliki nomor sendiri",
        ),
        hint: words(
            "number the items from 1",
            "numéroter les articles à partir de 1",
            "nomori mulai dari 1",
        ),
        reads: Reads::Paths(reference::NUMBERS, reference::number_twice),
    },
];
