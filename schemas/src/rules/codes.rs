//! Codes of lists, amounts and places.

use super::{Reads, Rule};
use crate::breach::shipment;
use crate::check;
use crate::finding::Severity;
use crate::language::words;
use crate::tree::Check;

pub const RULES: &[Rule] = &[
    Rule {
        number: "SW-019",
        id: "country-assigned",
        severity: Severity::Error,
        text: words(
            "A country code is assigned in ISO 3166-1, or is XI or XK",
            "Un code de pays est attribué par ISO 3166-1, ou est XI ou XK",
            "Kode negara ditetapkan dalam ISO 3166-1, atau XI atau XK",
        ),
        hint: words("use the alpha-2 code", "utiliser le code alpha-2", "gunakan kode alpha-2"),
        reads: Reads::Checked(Check::Country, check::country),
    },
    Rule {
        number: "SW-020",
        id: "currency-assigned",
        severity: Severity::Error,
        text: words(
            "A currency code is in ISO 4217",
            "Un code de devise figure dans ISO 4217",
            "Kode mata uang terdapat dalam ISO 4217",
        ),
        hint: words(
            "use the three letters of the currency",
            "utiliser les trois lettres de la devise",
            "gunakan tiga huruf mata uangnya",
        ),
        reads: Reads::Checked(Check::Currency, check::currency),
    },
    Rule {
        number: "SW-021",
        id: "amount-decimals",
        severity: Severity::Error,
        text: words(
            "An amount has no more decimal places than its currency",
            "Un montant n'a pas plus de décimales que sa devise",
            "Suatu nilai tidak memiliki angka desimal lebih banyak daripada mata uangnya",
        ),
        hint: words(
            "round the amount to the currency's smallest unit",
            "arrondir le montant à la plus petite unité de la devise",
            "bulatkan nilai ke satuan terkecil mata uangnya",
        ),
        reads: Reads::Objects(&[&["amount", "currencyCode"]], shipment::amount_decimals),
    },
    Rule {
        number: "SW-022",
        id: "package-type-listed",
        severity: Severity::Error,
        text: words(
            "A type of package is in UN/ECE Recommendation 21",
            "Un type de colis figure dans la Recommandation 21 de la CEE-ONU",
            "Jenis kemasan terdapat dalam Rekomendasi 21 UN/ECE",
        ),
        hint: words(
            "use the two characters of the list, as CT for a carton, BX for a box, DR for a drum, BG for a bag",
            "utiliser les deux caractères de la liste, p. ex. CT carton, BX caisse, DR fût, BG sac",
            "gunakan dua karakter dalam daftar, misalnya CT karton, BX kotak, DR drum, BG kantong",
        ),
        reads: Reads::Checked(Check::PackageType, check::package_type),
    },
    Rule {
        number: "SW-023",
        id: "locode-form",
        severity: Severity::Error,
        text: words(
            "A UN/LOCODE begins with an assigned country",
            "Un UN/LOCODE commence par un pays attribué",
            "UN/LOCODE diawali dengan negara yang ditetapkan",
        ),
        hint: words(
            "look the place up in the UN/LOCODE list; an airport code is not a location code",
            "chercher le lieu dans la liste UN/LOCODE ; un code d'aéroport n'est pas un code de lieu",
            "cari tempatnya dalam daftar UN/LOCODE; kode bandara bukan kode lokasi",
        ),
        reads: Reads::Checked(Check::Locode, check::locode),
    },
    Rule {
        number: "SW-024",
        id: "country-locode-agreement",
        severity: Severity::Error,
        text: words(
            "A UN/LOCODE lies in the country stated beside it",
            "Un UN/LOCODE est dans le pays indiqué à côté",
            "UN/LOCODE berada di negara yang disebutkan di sampingnya",
        ),
        hint: words(
            "mend the country or the location code",
            "corriger le pays ou le code de lieu",
            "perbaiki negara atau kode lokasinya",
        ),
        reads: Reads::Objects(&[&["countryCode", "locationId"]], shipment::country_disagrees),
    },
    Rule {
        number: "SW-025",
        id: "itinerary-place",
        severity: Severity::Error,
        text: words(
            "A point of the route states its country, or is on the high seas",
            "Un point de l'itinéraire indique son pays, ou se trouve en haute mer",
            "Titik rute menyebutkan negaranya, atau berada di laut lepas",
        ),
        hint: words(
            "add countryCode, or set placeType to high-seas",
            "ajouter countryCode, ou donner à placeType la valeur high-seas",
            "tambahkan countryCode, atau isi placeType dengan high-seas",
        ),
        reads: Reads::Paths(
            &["/consignment/itinerary/*/countryCode", "/consignment/itinerary/*/placeType"],
            shipment::itinerary_nowhere,
        ),
    },
    Rule {
        number: "SW-026",
        id: "transit-destination",
        severity: Severity::Error,
        text: words(
            "A route of goods in transit or transhipment has a stated onward place",
            "L'itinéraire de marchandises en transit ou en transbordement a un lieu de destination",
            "Rute barang transit atau alih kapal memiliki tempat tujuan",
        ),
        hint: words(
            "add a route point with function destination or planned-unloading",
            "ajouter un point avec la fonction destination ou planned-unloading",
            "tambahkan titik rute dengan function destination atau planned-unloading",
        ),
        reads: Reads::Paths(
            &[
                "/event/direction",
                "/detection/direction",
                "/direction",
                "/consignment/itinerary/*/function",
                "/profile/destinationCountryCode",
            ],
            shipment::transit_to_nowhere,
        ),
    },
    Rule {
        number: "SW-027",
        id: "position-range",
        severity: Severity::Error,
        text: words(
            "A position has a latitude within 90 degrees and a longitude within 180",
            "Une position a une latitude de 90 degrés et une longitude de 180 au plus",
            "Suatu posisi memiliki lintang paling besar 90 derajat dan bujur paling besar 180",
        ),
        hint: words(
            "give both in decimal degrees, north and east positive",
            "donner les deux en degrés décimaux, nord et est positifs",
            "berikan keduanya dalam derajat desimal, utara dan timur positif",
        ),
        reads: Reads::Objects(&[&["latitude", "longitude"]], shipment::position_off_earth),
    },
];
