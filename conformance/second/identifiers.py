"""Judges Sealwire's identifier vectors by other people's code, and by the definitions again.

usage: identifiers.py [FOLDER]

FOLDER holds one file an identifier, each with values that Sealwire accepts and refuses; the
default is `conformance/vectors/identifier`. PyPI `python-stdnum` judges CAS, EC, IMO and container
numbers, GTIN and LEI, and computes the check digits of SSCC and MRN. It knows nothing of the
others: for them the published rule is written here a second time, in another way.

stdnum is lenient where Sealwire is strict, so that a form goes before it: it mends blanks, hyphens
and small letters, takes a container of category R, an LEI of any length, and any EC number whose
remainder is 10. Its list of countries has AN, CS and others that are gone, and lacks XI and XK.

Prints `N passed, 0 failed`; the exit code is 1 if anything failed, or if a file was not read.
"""

import json
import pathlib
import re
import sys
from collections.abc import Callable

from stdnum import casrn, ean, imo, isin, iso6346, lei
from stdnum.eu import ecnumber

GONE = {"AN", "CS"}
COUNTRIES = (set(isin._iso_3116_1_country_codes) - GONE) | {"XI", "XK"}
VIN_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)]))
LEAST = 400


def container(value: str) -> bool:
    return value[3] in "UJZ" and iso6346.is_valid(value)


def ec_number(value: str) -> bool:
    remainder = sum(i * int(d) for i, d in enumerate(value[:-2].replace("-", ""), 1)) % 11
    return (remainder != 10 or value[0] == "4") and ecnumber.is_valid(value)


def air_waybill(value: str) -> bool:
    serial = value[-8:]
    return int(serial[:7]) - 7 * (int(serial[:7]) // 7) == int(serial[7])


def postal_item(value: str) -> bool:
    # The check digit completes the weighted sum to a multiple of 11, but for two of the remainders.
    total = sum(int(d) * w for d, w in zip(value[2:10], (8, 6, 4, 2, 3, 5, 9, 7)))
    expected = {0: 5, 1: 0}.get(total % 11, -total % 11)
    return int(value[10]) == expected and value[11:] in COUNTRIES


def vin(value: str) -> bool:
    if value[0] not in "12345L":
        return True
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(int(VIN_VALUES.get(c, c)) * w for c, w in zip(value, weights))
    return "0123456789X"[total % 11] == value[8]


def mrn(value: str) -> bool:
    return value[2:4] in COUNTRIES and iso6346.calc_check_digit(value[:-1]) == value[-1]


# The form, in ASCII, and what decides among the values of that form.
RULES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "air-waybill": (r"[0-9]{3}-?[0-9]{8}", air_waybill),
    "cas": (r"[0-9]+-[0-9]{2}-[0-9]", casrn.is_valid),
    "container": (r"[A-Z]{4}[0-9]{7}", container),
    "cus": (r"[0-9]{7}-[0-9]", lambda _: True),
    "ec-number": (r"[0-9]{3}-[0-9]{3}-[0-9]", ec_number),
    "eori": (r"[A-Z]{2}[A-Z0-9]{1,15}", lambda value: value[:2] in COUNTRIES),
    "gtin": (r"[0-9]+", ean.is_valid),
    "imo": (r"[0-9]+", imo.is_valid),
    "inchi-key": (r"[A-Z]{14}-[A-Z]{8}[SN]A-[A-Z]", lambda _: True),
    "lei": (r"[A-Z0-9]{18}[0-9]{2}", lei.is_valid),
    "mrn": (r"[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]", mrn),
    "postal-item": (r"[A-Z]{2}[0-9]{9}[A-Z]{2}", postal_item),
    "sscc": (r"[0-9]{18}", lambda value: ean.calc_check_digit(value[:-1]) == value[-1]),
    "ucr": (r"[0-9][A-Z]{2}[A-Z0-9()/-]{1,32}", lambda value: value[1:3] in COUNTRIES),
    "vin": (r"[A-HJ-NPR-Z0-9]{17}", vin),
}

passed = 0
failed = 0


def claim(text: str, holds: bool) -> None:
    """Counts one claim and prints it if it does not hold."""
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"failed: {text}", file=sys.stderr)


def main() -> int:
    default = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "identifier"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    files = {path.stem: path for path in folder.glob("*")}
    claim(f"{sorted(files)} are the identifiers judged here", files.keys() == RULES.keys())
    for name in sorted(files.keys() & RULES.keys()):
        content = json.loads(files[name].read_text(encoding="utf-8"))
        form, decides = RULES[name]
        claim(f"{name}: the file is about it", content["identifier"] == name)
        enough = len(content["valid"]) + len(content["invalid"]) >= LEAST
        claim(f"{name}: there are enough values", enough)
        for verdict in ("valid", "invalid"):
            for value in content[verdict]:
                # `[0-9]` takes ASCII alone, and `fullmatch` no line end.
                holds = re.fullmatch(form, value) is not None and bool(decides(value))
                claim(f"{name}: {value!r} is {verdict}", holds == (verdict == "valid"))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
