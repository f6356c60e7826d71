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
    Rule {
        number: "SW-084",
        id: "results-consensus",
        severity: Severity::Warning,
        text: words(
            "What is set from the results agrees with them: the assigned value with the robust mean, its uncertainty with 1.25 s*/√p, the standard deviation for assessment with s*",
            "Ce qui est tiré des résultats s'accorde avec eux : la valeur assignée avec la moyenne robuste, son incertitude avec 1,25 s*/√p, l'écart-type pour l'évaluation avec s*",
            "Yang ditetapkan dari hasil sesuai dengan hasil itu: nilai acuan dengan rerata tegar, ketidakpastiannya dengan 1,25 s*/√p, simpangan baku penilaian dengan s*",
        ),
        hint: words(
            "mend the figure, or say in assignedValueMethod or sigmaMethod how it was set",
            "corriger la valeur, ou dire dans assignedValueMethod ou sigmaMethod comment elle a été fixée",
            "perbaiki angkanya, atau sebutkan di assignedValueMethod atau sigmaMethod cara penetapannya",
        ),
        reads: Reads::Objects(
            &[&[
                "assignedValueMethod",
                "assignedValue",
                "assignedUncertainty",
                "sigmaMethod",
                "sigma",
                "resultQuantity",
                "robustMean",
                "robustDeviation",
            ]],
            proficiency::not_of_results,
        ),
    },
    Rule {
        number: "SW-085",
        id: "score-verdict",
        severity: Severity::Error,
        text: words(
            "A verdict is that of a score: for z, z' and zeta satisfactory up to 2 and unsatisfactory from 3, for En satisfactory up to 1",
            "Un verdict est celui d'un score : pour z, z' et zêta satisfaisant jusqu'à 2 et insatisfaisant dès 3, pour En satisfaisant jusqu'à 1",
            "Keputusan sesuai dengan sebuah skor: untuk z, z' dan zeta memuaskan sampai 2 dan tidak memuaskan mulai 3, untuk En memuaskan sampai 1",
        ),
        hint: words(
            "mend the score or the verdict",
            "corriger le score ou le verdict",
            "perbaiki skor atau keputusannya",
        ),
        reads: Reads::Kind(
            "proficiency-result",
            &["/result/*/verdict", "/result/*/score"],
            proficiency::verdict_of_no_score,
        ),
    },
    Rule {
        number: "SW-086",
        id: "score-agreement",
        severity: Severity::Error,
        text: words(
            "The scores of a result have one sign and each kind once; z' is not beyond z, nor En beyond zeta",
            "Les scores d'un résultat ont le même signe et un type chacun ; z' ne dépasse pas z, ni En zêta",
            "Skor suatu hasil bertanda sama dan setiap jenisnya satu kali; z' tidak melampaui z, dan En tidak melampaui zeta",
        ),
        hint: words("calculate the scores anew", "recalculer les scores", "hitung ulang skornya"),
        reads: Reads::Kind(
            "proficiency-result",
            &["/result/*/score"],
            proficiency::scores_disagree,
        ),
    },
    Rule {
        number: "SW-087",
        id: "result-qualifier",
        severity: Severity::Error,
        text: words(
            "A result less or greater than a value states the value; one not detected or not analysed has neither value nor identity",
            "Un résultat inférieur ou supérieur à une valeur l'indique ; un résultat non détecté ou non analysé n'a ni valeur ni identité",
            "Hasil kurang atau lebih dari suatu nilai menyebutkan nilainya; yang tidak terdeteksi atau tidak dianalisis tanpa nilai dan identitas",
        ),
        hint: words(
            "mend qualifier, or the field beside it",
            "corriger qualifier, ou le champ à côté",
            "perbaiki qualifier, atau kolom di sebelahnya",
        ),
        reads: Reads::Objects(
            &[&["qualifier", "value", "uncertainty"], &["qualifier", "identity"]],
            proficiency::word_against_figure,
        ),
    },
    Rule {
        number: "SW-088",
        id: "replicate-mean",
        severity: Severity::Warning,
        text: words(
            "A result is the mean of its replicates, to rounding",
            "Un résultat est la moyenne de ses répétitions, à l'arrondi près",
            "Suatu hasil adalah rerata dari ulangannya, dalam batas pembulatan",
        ),
        hint: words(
            "check for an error of transcription",
            "vérifier s'il y a une erreur de transcription",
            "periksa kemungkinan salah salin",
        ),
        reads: Reads::Kind(
            "proficiency-result",
            &["/result/*/value", "/result/*/replicate"],
            proficiency::not_the_mean,
        ),
    },
];
