"""Reads Sealwire's proofs of single fields without any code of Sealwire.

usage: field.py [FOLDER]

FOLDER holds `field`; the default is `conformance/vectors`. Statements, disclosures and commitments
are read as in `entry.py`, the tlog-proof and its checkpoint as in `log.py`. Every verdict has to be
the one in the file, good or bad, and a good proof holds the bytes of its own fields alone.

Prints `N passed, 0 failed`; the exit code is 1 if anything failed, or if a file was not read.
"""

import json
import pathlib
import sys

import entry
import log

MAX_PROOF = 1 << 20


def statement_of(receipt: str, key: log.Key) -> tuple[bytes, int]:
    """The statement that a tlog-proof carries and its index, if its checkpoint is the log's and has
    the statement's leaf there."""
    head, _, checkpoint = receipt.partition("\n\n")
    version, extra, index, *path = head.split("\n")
    log.need(version == "c2sp.org/tlog-proof@v1", "another version")
    log.need(extra.startswith("extra ") and index.startswith("index "), "no statement or index")
    statement = log.unbase64(extra.removeprefix("extra "))
    at = log.decimal(index.removeprefix("index "))
    proof = [log.unbase64(line) for line in path]
    log.need(all(len(node) == 32 for node in proof), "a node of another length")
    note = log.Note(checkpoint).verify_log(key)
    leaf = log.leaf_hash(b"\x01" + log.sha256(statement))
    log.need(log.root_by_inclusion(leaf, at, note.size, proof) == note.root, "another root")
    return statement, at


def opened(part: dict, record: str, class_: str, commitment: bytes) -> dict:
    """What a part's opened fields say, if its digests make the commitment and theirs are among
    them, in order."""
    entry.fields(part, {"digests", "disclosures"})
    digests = [entry.octets(digest, 32) for digest in entry.typed(part["digests"], list)]
    entry.need(len(digests) <= entry.MAX_DISCLOSURES, "too many digests")
    fields = entry.read_part(entry.encode(part["disclosures"]))
    rest = iter(digests)
    placed = all(bytes.fromhex(field["digest"]) in rest for field in fields)
    entry.need(placed, "a field without its digest")
    found = entry.sha256(entry.encode([record, class_, digests]))
    entry.need(found == commitment, "another commitment")
    shown = [{"pointer": field["pointer"], "value": field["value"]} for field in fields]
    return {"class": class_, "of": len(digests), "fields": shown}


def read_proof(data: bytes, key: log.Key, public: bytes) -> dict:
    proof = entry.fields(entry.decode(data, MAX_PROOF), {"type", "receipt", "parts"})
    entry.need(proof["type"] == "sealwire-field-proof-v1", "another type")
    try:
        statement, index = statement_of(entry.text(proof["receipt"]), key)
    except (log.Refused, ValueError) as error:
        raise entry.Refused(str(error)) from None
    read = entry.read_statement({"statement": statement.hex(), "public": public.hex()})
    stated = read["manifest"].get("parts")
    entry.need(stated is not None, "not a record")
    parts = entry.text_keys(proof["parts"])
    entry.need(1 <= len(parts) <= 8, "no parts, or too many")
    entry.need(parts.keys() <= stated.keys(), "a part that the statement does not have")
    return {
        "record": read["subject"],
        "issuer": read["issuer"],
        "index": index,
        "parts": [
            opened(parts[class_], read["subject"], class_, bytes.fromhex(stated[class_][0]))
            for class_ in sorted(parts)
        ],
    }


def check(vector: dict) -> None:
    key, public = log.Key(vector["vkey"], log.ED25519), bytes.fromhex(vector["public"])
    entry.judge(
        "field proof",
        lambda case: read_proof(bytes.fromhex(case["proof"]), key, public),
        vector["cases"],
    )
    good = [case for case in vector["cases"] if case["valid"]]
    pointers = {
        field["pointer"]
        for case in good
        for part in case["expected"]["parts"]
        for field in part["fields"]
    }
    for case in good:
        data = bytes.fromhex(case["proof"])
        shown = {f["pointer"] for part in case["expected"]["parts"] for f in part["fields"]}
        leaked = [pointer for pointer in pointers - shown if pointer.encode() in data]
        entry.claim(f"field proof, no other field: {case['why']}", not leaked)


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    default = pathlib.Path(__file__).resolve().parent.parent / "vectors"
    folder = (pathlib.Path(arguments[0]) if arguments else default) / "field"
    present = {path.name for path in folder.rglob("*") if path.is_file()}
    entry.claim("field: field.json and no other file", present == {"field.json"})
    try:
        check(json.loads((folder / "field.json").read_text(encoding="utf-8")))
    except (entry.Refused, OSError, ValueError, KeyError, TypeError) as error:
        entry.claim(f"field.json: is read ({type(error).__name__}: {error})", False)
    print(f"{entry.passed} passed, {entry.failed} failed")
    return 1 if entry.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
