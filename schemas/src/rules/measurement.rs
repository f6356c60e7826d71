//! Figures of methods and measurements.

use super::{Reads, Rule};
use crate::breach::laboratory;
use crate::finding::Severity;
use crate::language::words;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-089",
        id: "figure-not-negative",
        severity: Severity::Error,
        text: words(
            "An uncertainty, a standard deviation, a limit, a recovery, a rate, a purity or a mass is not negative",
            "Une incertitude, un écart-type, une limite, un taux de récupération, un taux, une pureté ou une masse n'est pas négatif",
            "Ketidakpastian, simpangan baku, batas, perolehan kembali, laju, kemurnian atau massa tidak negatif",
        ),
        hint: words(
            "take the sign away, or mend the figure",
            "retirer le signe, ou corriger la valeur",
            "hapus tandanya, atau perbaiki angkanya",
        ),
        reads: Reads::Objects(
            &[
                &["uncertainty"],
                &["coverageFactor"],
                &["limitOfDetection"],
                &["limitOfQuantification"],
                &["recovery"],
                &["repeatability"],
                &["intermediatePrecision"],
                &["reproducibility"],
                &["truePositiveRate"],
                &["trueNegativeRate"],
                &["massFraction"],
                &["purityFrom"],
                &["sampleMass"],
                &["sampleMassFrom"],
                &["assignedUncertainty"],
                &["sigma"],
                &["robustDeviation"],
                &["dutyRateDeclared"],
                &["dutyRateOutcome"],
            ],
            laboratory::negative,
        ),
    },
    Rule {
        number: "SW-090",
        id: "coverage-factor",
        severity: Severity::Warning,
        text: words(
            "An uncertainty states its coverage factor, which is at least 1",
            "Une incertitude indique son facteur d'élargissement, qui est d'au moins 1",
            "Ketidakpastian menyebutkan faktor cakupannya, yang sekurang-kurangnya 1",
        ),
        hint: words(
            "state coverageFactor; it is 2 for about 95 per cent",
            "indiquer coverageFactor ; il est de 2 pour environ 95 pour cent",
            "sebutkan coverageFactor; nilainya 2 untuk kira-kira 95 persen",
        ),
        reads: Reads::Objects(&[&["uncertainty", "coverageFactor"]], laboratory::coverage),
    },
    Rule {
        number: "SW-091",
        id: "range-order",
        severity: Severity::Error,
        text: words(
            "The lower end of a range is at most its upper end",
            "La borne inférieure d'un domaine ne dépasse pas la borne supérieure",
            "Batas bawah suatu rentang tidak melebihi batas atasnya",
        ),
        hint: words(
            "exchange the two ends, or mend one",
            "échanger les deux bornes, ou en corriger une",
            "tukar kedua batas, atau perbaiki salah satunya",
        ),
        reads: Reads::Objects(
            &[&["rangeFrom", "rangeUntil"], &["expectedFrom", "expectedUntil"]],
            laboratory::out_of_order,
        ),
    },
    Rule {
        number: "SW-092",
        id: "working-range-limit",
        severity: Severity::Warning,
        text: words(
            "A working range lies above the limit of quantification",
            "Un domaine de travail se situe au-dessus de la limite de quantification",
            "Rentang kerja berada di atas batas kuantifikasi",
        ),
        hint: words(
            "begin the range at the limit of quantification or above",
            "commencer le domaine à la limite de quantification ou au-dessus",
            "mulai rentang pada batas kuantifikasi atau di atasnya",
        ),
        reads: Reads::Objects(
            &[&["limitOfQuantification", "rangeFrom"], &["limitOfQuantification", "rangeUntil"]],
            laboratory::out_of_order,
        ),
    },
    Rule {
        number: "SW-093",
        id: "precision-order",
        severity: Severity::Error,
        text: words(
            "Repeatability is at most intermediate precision, and that at most reproducibility",
            "La répétabilité ne dépasse pas la fidélité intermédiaire, ni celle-ci la reproductibilité",
            "Keterulangan tidak melebihi presisi antara, dan presisi antara tidak melebihi ketertiruan",
        ),
        hint: words(
            "check which standard deviation is which; ISO 5725 builds each on the one before",
            "vérifier les écarts-types ; dans l'ISO 5725 chacun contient le précédent",
            "periksa masing-masing simpangan baku; dalam ISO 5725 setiap nilai memuat yang sebelumnya",
        ),
        reads: Reads::Objects(
            &[&["repeatability", "intermediatePrecision", "reproducibility"]],
            laboratory::out_of_order,
        ),
    },
    Rule {
        number: "SW-094",
        id: "recovery-plausible",
        severity: Severity::Warning,
        text: words(
            "A mean recovery lies between 50 and 150 per cent",
            "Un taux moyen de récupération se situe entre 50 et 150 pour cent",
            "Rerata perolehan kembali berada antara 50 dan 150 persen",
        ),
        hint: words(
            "state it in per cent, not as a fraction",
            "l'indiquer en pour cent, non en fraction",
            "sebutkan dalam persen, bukan pecahan",
        ),
        reads: Reads::Objects(&[&["recovery"]], laboratory::implausible_recovery),
    },
    Rule {
        number: "SW-095",
        id: "share-range",
        severity: Severity::Error,
        text: words(
            "A true rate is at most 100 per cent, and a purity of a reference at most 1",
            "Un taux de vrais résultats est d'au plus 100 pour cent, et une pureté de référence d'au plus 1",
            "Laju hasil benar paling besar 100 persen, dan kemurnian acuan paling besar 1",
        ),
        hint: words(
            "state rates in per cent, and purities as mass fractions from 0 to 1",
            "indiquer les taux en pour cent, et les puretés en fractions massiques de 0 à 1",
            "sebutkan laju dalam persen, dan kemurnian sebagai fraksi massa dari 0 sampai 1",
        ),
        reads: Reads::Objects(
            &[
                &["truePositiveRate"],
                &["trueNegativeRate"],
                &["purityFrom"],
                &["massFraction", "expiryDate"],
            ],
            laboratory::beyond_whole,
        ),
    },
    Rule {
        number: "SW-096",
        id: "spectrum-settings",
        severity: Severity::Error,
        text: words(
            "A spectrum states settings of its own technique: ionisation of mass spectra, a nucleus of NMR, an excitation of Raman spectra",
            "Un spectre indique les réglages de sa propre technique : l'ionisation pour la masse, un noyau pour la RMN, une excitation pour le Raman",
            "Suatu spektrum menyebut pengaturan tekniknya sendiri: ionisasi untuk spektrum massa, inti untuk NMR, eksitasi untuk Raman",
        ),
        hint: words(
            "mend technique, or take the setting out",
            "corriger technique, ou retirer le réglage",
            "perbaiki technique, atau hapus pengaturannya",
        ),
        reads: Reads::Objects(
            &[&["technique", "ionisation", "collisionEnergy", "nucleus", "excitationWavelength"]],
            laboratory::foreign_settings,
        ),
    },
];
