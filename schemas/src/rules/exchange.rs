//! Records that answer, correct, dispute or erase others, and warnings.

use super::{Reads, Rule};
use crate::breach::exchange;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-057",
        id: "relation-verb",
        severity: Severity::Error,
        text: words(
            "A correction supersedes, a withdrawal withdraws, an erasure erases; an acknowledgement, comment, conflict, feedback or reply answers; other kinds answer or supersede",
            "Une rectification remplace, un retrait retire, un effacement efface ; accusé de réception, commentaire, conflit, retour et réponse répondent ; les autres types répondent ou remplacent",
            "Koreksi menggantikan, penarikan menarik, penghapusan menghapus; tanda terima, komentar, konflik, umpan balik dan balasan menjawab; jenis lain menjawab atau menggantikan",
        ),
        hint: words(
            "set verb to that of the kind, or choose another kind",
            "donner à verb la valeur du type, ou choisir un autre type",
            "isi verb sesuai jenisnya, atau pilih jenis lain",
        ),
        reads: Reads::Paths(&["/kind", "/relation/verb"], exchange::wrong_verb),
    },
    Rule {
        number: "SW-058",
        id: "warning-target",
        severity: Severity::Warning,
        text: words(
            "A warning names at least one thing by which officers find what to control",
            "Une alerte nomme au moins un élément permettant de trouver ce qui est à contrôler",
            "Peringatan menyebut sekurang-kurangnya satu hal untuk menemukan yang harus diperiksa",
        ),
        hint: words(
            "give a container, document, means of transport, reference or party, or a profile",
            "donner un conteneur, document, moyen de transport, référence ou partie, ou un profil",
            "berikan peti kemas, dokumen, sarana angkut, referensi atau pihak, atau profil",
        ),
        reads: Reads::Kind("warning", exchange::TARGETS, exchange::warning_of_nothing),
    },
    Rule {
        number: "SW-059",
        id: "feedback-reason",
        severity: Severity::Error,
        text: words(
            "Feedback of no match says what was searched, and feedback that does not apply says why",
            "Un retour sans correspondance dit ce qui a été cherché, un retour sans objet dit pourquoi",
            "Umpan balik tanpa kecocokan menyebut apa yang dicari, yang tidak berlaku menyebut alasannya",
        ),
        hint: words(
            "add searchedFrom and searchedUntil, or reasonNotApplicable",
            "ajouter searchedFrom et searchedUntil, ou reasonNotApplicable",
            "tambahkan searchedFrom dan searchedUntil, atau reasonNotApplicable",
        ),
        reads: Reads::Kind(
            "feedback",
            &["/outcome", "/reasonNotApplicable", "/searchedFrom", "/matchQuantity"],
            exchange::feedback_without_reason,
        ),
    },
    Rule {
        number: "SW-060",
        id: "feedback-next",
        severity: Severity::Warning,
        text: words(
            "Feedback of goods under surveillance says when the next follows",
            "Un retour sous surveillance dit quand suit le prochain",
            "Umpan balik dalam pengawasan menyebut kapan yang berikutnya",
        ),
        hint: words("add nextFeedbackDue", "ajouter nextFeedbackDue", "tambahkan nextFeedbackDue"),
        reads: Reads::Kind(
            "feedback",
            &["/outcome", "/nextFeedbackDue"],
            exchange::feedback_without_next,
        ),
    },
    Rule {
        number: "SW-061",
        id: "feedback-seizure",
        severity: Severity::Warning,
        text: words(
            "Feedback of a seizure states the goods or links the seizure",
            "Un retour de saisie indique les marchandises ou renvoie à la saisie",
            "Umpan balik penyitaan menyebut barangnya atau menautkan penyitaannya",
        ),
        hint: words(
            "add goodsItem, or a linkedRecord with relationship seizure",
            "ajouter goodsItem, ou un linkedRecord de relation seizure",
            "tambahkan goodsItem, atau linkedRecord dengan relationship seizure",
        ),
        reads: Reads::Kind(
            "feedback",
            &["/outcome", "/goodsItem", "/linkedRecord/*/relationship"],
            exchange::feedback_without_goods,
        ),
    },
    Rule {
        number: "SW-062",
        id: "feedback-control",
        severity: Severity::Warning,
        text: words(
            "Feedback of a control says how it was done",
            "Un retour de contrôle dit comment il a été fait",
            "Umpan balik pemeriksaan menyebut cara pelaksanaannya",
        ),
        hint: words(
            "add control with its method",
            "ajouter control avec sa méthode",
            "tambahkan control beserta method",
        ),
        reads: Reads::Kind(
            "feedback",
            &["/outcome", "/control/*/method"],
            exchange::feedback_without_control,
        ),
    },
    Rule {
        number: "SW-063",
        id: "change-values",
        severity: Severity::Error,
        text: words(
            "A change says the value before and the value after, and they differ",
            "Une rectification donne la valeur avant et la valeur après, et elles diffèrent",
            "Perubahan menyebut nilai sebelum dan sesudah, dan keduanya berbeda",
        ),
        hint: words(
            "replaced has both values, added only the new, removed only the old",
            "replaced a les deux valeurs, added la nouvelle seule, removed l'ancienne seule",
            "replaced memuat kedua nilai, added hanya yang baru, removed hanya yang lama",
        ),
        reads: Reads::Objects(
            &[&["action", "oldValue", "oldDigest", "newValue"]],
            exchange::change_values,
        ),
    },
    Rule {
        number: "SW-064",
        id: "change-class",
        severity: Severity::Error,
        text: words(
            "The field that a change or finding names is of the class of its list",
            "Le champ visé par une rectification ou une constatation est de la classe de sa liste",
            "Ruas yang disebut perubahan atau temuan termasuk kelas daftarnya",
        ),
        hint: words(
            "move the entry to the list of the class that the data dictionary gives for the field",
            "déplacer l'élément dans la liste de la classe que le dictionnaire donne au champ",
            "pindahkan entri ke daftar kelas ruas itu menurut kamus data",
        ),
        reads: Reads::Objects(
            &[&["field", "action"], &["field", "disagreement"]],
            exchange::field_of_another_class,
        ),
    },
    Rule {
        number: "SW-065",
        id: "change-announced",
        severity: Severity::Error,
        text: words(
            "The classes said to be corrected are those that have changes",
            "Les classes annoncées comme rectifiées sont celles qui ont des rectifications",
            "Kelas yang dinyatakan dikoreksi adalah yang memiliki perubahan",
        ),
        hint: words(
            "list in correctedClass exactly the classes with changes",
            "lister dans correctedClass exactement les classes rectifiées",
            "cantumkan dalam correctedClass tepat kelas yang berubah",
        ),
        reads: Reads::Kind("correction", exchange::CHANGES, exchange::changes_not_announced),
    },
    Rule {
        number: "SW-066",
        id: "conflict-finding",
        severity: Severity::Error,
        text: words(
            "A conflicting finding says what was stated and what was found, and they differ",
            "Une constatation contraire donne la valeur déclarée et la valeur trouvée, et elles diffèrent",
            "Temuan yang bertentangan menyebut nilai yang dinyatakan dan yang ditemukan, dan keduanya berbeda",
        ),
        hint: words(
            "differs has both values, not-found only the stated, additional only the found",
            "differs a les deux valeurs, not-found la valeur déclarée seule, additional la valeur trouvée seule",
            "differs memuat kedua nilai, not-found hanya yang dinyatakan, additional hanya yang ditemukan",
        ),
        reads: Reads::Objects(
            &[&["disagreement", "statedValue", "foundValue"]],
            exchange::finding_values,
        ),
    },
    Rule {
        number: "SW-067",
        id: "erasure-part",
        severity: Severity::Error,
        text: words(
            "A part that was erased says how and when, one on hold until when, one never held neither",
            "Une partie effacée dit comment et quand, une partie bloquée jusqu'à quand, une partie jamais détenue ni l'un ni l'autre",
            "Bagian yang dihapus menyebut cara dan waktunya, yang ditahan sampai kapan, yang tidak pernah dimiliki tidak keduanya",
        ),
        hint: words(
            "add method and date, or holdUntil, or take them out",
            "ajouter method et date, ou holdUntil, ou les retirer",
            "tambahkan method dan date, atau holdUntil, atau hapus",
        ),
        reads: Reads::Objects(
            &[&["class", "status", "method", "date", "holdUntil"]],
            exchange::erasure_half_told,
        ),
    },
    Rule {
        number: "SW-068",
        id: "erasure-onward",
        severity: Severity::Error,
        text: words(
            "No more onward recipients confirm an erasure than there are",
            "Il n'y a pas plus de destinataires ultérieurs ayant confirmé que de destinataires",
            "Penerima lanjutan yang mengonfirmasi tidak lebih banyak daripada jumlahnya",
        ),
        hint: words(
            "mend one of the counts",
            "corriger l'un des nombres",
            "perbaiki salah satu jumlah",
        ),
        reads: Reads::Objects(
            &[&["onwardConfirmedQuantity", "onwardRecipientQuantity"]],
            exchange::onward_counts,
        ),
    },
    Rule {
        number: "SW-069",
        id: "consent-body",
        severity: Severity::Warning,
        text: words(
            "The body that gets consent has the purpose by its nature",
            "L'organisme autorisé a par nature la finalité indiquée",
            "Badan penerima persetujuan memang memiliki tujuan tersebut",
        ),
        hint: words(
            "check bodyType and purpose; grant the purpose to the body whose task it is",
            "vérifier bodyType et purpose ; accorder la finalité à l'organisme dont c'est la mission",
            "periksa bodyType dan purpose; berikan tujuan kepada badan yang bertugas",
        ),
        reads: Reads::Kind(
            "consent-grant",
            &["/grantee/bodyType", "/purpose"],
            exchange::body_for_another_purpose,
        ),
    },
    Rule {
        number: "SW-070",
        id: "reply-refusal-ground",
        severity: Severity::Error,
        text: words(
            "A reply that refuses gives its ground",
            "Une réponse de refus en donne le motif",
            "Balasan yang menolak menyebut alasannya",
        ),
        hint: words(
            "add refusal with its ground",
            "ajouter refusal avec son motif",
            "tambahkan refusal beserta ground",
        ),
        reads: Reads::Kind(
            "assistance-reply",
            &["/outcome", "/replyItem/*/outcome", "/refusal/ground"],
            exchange::refused_without_ground,
        ),
    },
    Rule {
        number: "SW-071",
        id: "reply-open-date",
        severity: Severity::Warning,
        text: words(
            "A reply that leaves something open says when the rest follows",
            "Une réponse incomplète dit quand suit le reste",
            "Balasan yang belum lengkap menyebut kapan sisanya menyusul",
        ),
        hint: words("add nextReplyDue", "ajouter nextReplyDue", "tambahkan nextReplyDue"),
        reads: Reads::Kind(
            "assistance-reply",
            &["/outcome", "/nextReplyDue", "/refusal/postponedUntil"],
            exchange::open_without_date,
        ),
    },
    Rule {
        number: "SW-121",
        id: "acknowledgement-onward",
        severity: Severity::Error,
        text: words(
            "An acknowledgement that counts onward recipients says that they were told, and one of what was never used says nothing else",
            "Un accusé qui compte des destinataires ultérieurs dit qu'ils ont été prévenus, et celui d'un enregistrement jamais utilisé ne dit rien d'autre",
            "Tanda terima yang menghitung penerima lanjutan menyebut bahwa mereka telah diberi tahu, dan tanda terima atas data yang tidak pernah dipakai tidak menyebut yang lain",
        ),
        hint: words(
            "add onward-recipients-told to action, or take the count out; never-used stands alone",
            "ajouter onward-recipients-told à action, ou retirer le nombre ; never-used reste seul",
            "tambahkan onward-recipients-told pada action, atau hapus jumlahnya; never-used berdiri sendiri",
        ),
        reads: Reads::Kind(
            "acknowledgement",
            &["/action", "/onwardRecipientQuantity"],
            exchange::acknowledged_at_odds,
        ),
    },
];
