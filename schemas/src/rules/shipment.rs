//! Goods and shipments.

use super::{Reads, Rule};
use crate::breach::{chemistry, shipment};
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-045",
        id: "misdeclared-same-code",
        severity: Severity::Error,
        text: words(
            "In a misdeclaration the code declared is not the code found",
            "Dans une fausse déclaration, le code déclaré n'est pas le code constaté",
            "Dalam salah pemberitahuan, kode yang diberitahukan bukan kode yang ditemukan",
        ),
        hint: words(
            "mend one of the codes, or state another offence",
            "corriger l'un des codes, ou indiquer une autre infraction",
            "perbaiki salah satu kode, atau sebutkan pelanggaran lain",
        ),
        reads: Reads::Paths(
            &[
                "/event/offenceType",
                "/offenceType",
                "/alertType",
                "/goodsItem/*/declared/classificationId",
                "/goodsItem/*/found/classificationId",
                "/suspectedGoods/*/declared/classificationId",
                "/suspectedGoods/*/suspected/classificationId",
            ],
            shipment::nothing_misdeclared,
        ),
    },
    Rule {
        number: "SW-046",
        id: "seal-contradiction",
        severity: Severity::Error,
        text: words(
            "A seal reported intact is not found broken, replaced or missing",
            "Un scellé déclaré intact n'est pas trouvé rompu, remplacé ou manquant",
            "Segel yang dilaporkan utuh tidak ditemukan rusak, diganti atau hilang",
        ),
        hint: words(
            "state each seal once, in the condition in which it was found",
            "indiquer chaque scellé une fois, dans l'état où il a été trouvé",
            "sebutkan tiap segel satu kali, dalam keadaan saat ditemukan",
        ),
        reads: Reads::Paths(
            &["/consignment/transportEquipment/*/seal", "/sample/*/seal"],
            shipment::seal_contradicted,
        ),
    },
    Rule {
        number: "SW-047",
        id: "mass-range",
        severity: Severity::Error,
        text: words(
            "The least mass of a range is at most the greatest",
            "La plus petite masse d'un intervalle ne dépasse pas la plus grande",
            "Massa terkecil suatu rentang tidak melebihi yang terbesar",
        ),
        hint: words(
            "exchange the two masses, or mend one",
            "échanger les deux masses, ou en corriger une",
            "tukar kedua massa, atau perbaiki salah satunya",
        ),
        reads: Reads::Objects(
            &[&["consignmentMassFrom", "consignmentMassUntil"]],
            chemistry::range,
        ),
    },
    Rule {
        number: "SW-048",
        id: "gross-net",
        severity: Severity::Error,
        text: words(
            "A gross mass is at least the net mass",
            "Une masse brute est au moins égale à la masse nette",
            "Massa bruto sekurang-kurangnya sama dengan massa neto",
        ),
        hint: words(
            "exchange the two masses, or mend one",
            "échanger les deux masses, ou en corriger une",
            "tukar kedua massa, atau perbaiki salah satunya",
        ),
        reads: Reads::Paths(chemistry::MASSES, chemistry::gross_under_net),
    },
    Rule {
        number: "SW-049",
        id: "equipment-count",
        severity: Severity::Error,
        text: words(
            "No more containers are affected than there are",
            "Il n'y a pas plus de conteneurs concernés que de conteneurs",
            "Peti kemas yang terkait tidak lebih banyak daripada jumlahnya",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Objects(
            &[&["transportEquipmentAffectedQuantity", "transportEquipmentQuantity"]],
            shipment::equipment,
        ),
    },
];
