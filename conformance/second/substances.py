"""Judges Sealwire's table of substances by RDKit and python-stdnum.

usage: substances.py [TABLE [EXAMPLES]]

TABLE is `schemas/codes/substances.tsv` and EXAMPLES the folder of records `schemas/examples` unless
they are given. Of each row: RDKit reads the structure and computes its InChIKey, which is that of
the row; the CAS number holds for stdnum and for the rule as written here again; every filled cell
has a source, and no two rows share a name, a number, a key or a structure. Of each substance of a
record whose CAS number or name is in the table: the InChIKey is the table's, or has its skeleton
where one of the two leaves the stereochemistry open.

Prints `N passed, 0 failed`; the exit code is 1 if anything failed, or if nothing was judged.
"""

import csv
import json
import pathlib
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rdkit import Chem, RDLogger
from stdnum import casrn

RDLogger.DisableLog("rdApp.*")
ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = [
    "name",
    "cas",
    "inchikey",
    "smiles",
    "hs",
    "source-cas",
    "source-inchikey",
    "source-hs",
]
LEAST = 150
NO_STEREO = "UHFFFAOY"

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


def cas_digit(number: str) -> bool:
    """The last digit is the sum of the others, weighted 1, 2, 3 from the right, modulo 10."""
    *digits, check = (int(d) for d in number if d != "-")
    return sum(i * d for i, d in enumerate(reversed(digits), 1)) % 10 == check


def judge_row(row: dict[str, str]) -> None:
    name = row["name"]
    if row["cas"]:
        holds = casrn.is_valid(row["cas"]) and casrn.compact(row["cas"]) == row["cas"]
        claim(f"{name}: {row['cas']} is a CAS number", holds and cas_digit(row["cas"]))
    claim(f"{name}: key and structure go together", bool(row["inchikey"]) == bool(row["smiles"]))
    if row["smiles"]:
        molecule = Chem.MolFromSmiles(row["smiles"])
        computed = Chem.MolToInchiKey(molecule) if molecule else "no structure"
        claim(f"{name}: {row['inchikey']} is computed {computed}", computed == row["inchikey"])
    for cell in ("cas", "inchikey", "hs"):
        sourced = bool(row[cell]) == bool(row[f"source-{cell}"].strip())
        claim(f"{name}: {cell} has a source if it is there", sourced)


def substances(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a record that names a substance, however deep."""
    if isinstance(value, dict):
        if "commonName" in value:
            yield value
        for child in value.values():
            yield from substances(child)
    elif isinstance(value, list):
        for child in value:
            yield from substances(child)


def compatible(one: str, other: str) -> bool:
    stereo = {one[15:23], other[15:23]}
    return one[:14] == other[:14] and (len(stereo) == 1 or NO_STEREO in stereo)


def judge_examples(rows: list[dict[str, str]], folder: pathlib.Path) -> int:
    by_cas = {row["cas"]: row for row in rows if row["cas"]}
    by_name = {row["name"].lower(): row for row in rows}
    judged = 0
    for path in sorted(folder.glob("*.json")):
        for stated in substances(json.loads(path.read_text(encoding="utf-8"))):
            row = by_cas.get(stated.get("casNumber", ""))
            row = row or by_name.get(stated["commonName"].lower())
            key = stated.get("inchiKey")
            if row and row["inchikey"] and key:
                judged += 1
                claim(f"{path.name}: {key} is {row['name']}", compatible(key, row["inchikey"]))
    return judged


def main() -> int:
    given = [pathlib.Path(argument) for argument in sys.argv[1:]]
    defaults = [ROOT / "schemas/codes/substances.tsv", ROOT / "schemas/examples"]
    table, examples = given + defaults[len(given) :]
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
        rows = list(reader)
    claim(f"the columns are {reader.fieldnames}", reader.fieldnames == COLUMNS)
    claim(f"{len(rows)} rows are enough", len(rows) >= LEAST)
    for row in rows:
        judge_row(row)
    for column in ("name", "cas", "inchikey", "smiles"):
        for value, times in Counter(r[column].lower() for r in rows if r[column]).items():
            claim(f"{column} {value} is there once", times == 1)
    claim("the examples name substances of the table", judge_examples(rows, examples) >= 10)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
