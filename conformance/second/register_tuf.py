"""Reads Sealwire registers with python-tuf, the reference implementation of TUF.

usage: register_tuf.py FILE [FILE ...]

The files are consecutive versions of one federation's register. Each has to load as TUF root
metadata, satisfy its own threshold and that of the version before, and keep the `x-sealwire`
field unchanged through python-tuf's own writer. Damaged copies of each have to be refused: one
signature too few, a tampered member, a repeated key, a version that skips.

Needs PyPI `tuf` 7.0.1 and `cryptography`. Prints `N passed, 0 failed`; the exit code is 1 if
anything failed.
"""

import copy
import hashlib
import json
import sys

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

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


def load(document: object) -> Metadata[Root]:
    return Metadata[Root].from_bytes(json.dumps(document).encode())


def accepted(document: object, previous: Metadata[Root] | None) -> bool:
    """Whether python-tuf trusts the document, as first root or as the successor of `previous`."""
    other = None if previous is None else previous.signed
    try:
        root = load(document)
        # Raises ValueError unless the version is exactly the next one.
        return root.signed.get_root_verification_result(
            other, root.signed_bytes, root.signatures
        ).verified
    except (DeserializationError, ValueError):
        return False


def check_good(name: str, document: dict, previous: Metadata[Root] | None) -> Metadata[Root]:
    root = load(document)
    signed = document["signed"]
    claim(f"{name}: is root metadata of TUF 1.0", root.signed.type == "root")
    own = root.signed.get_verification_result("root", root.signed_bytes, root.signatures)
    claim(f"{name}: satisfies its own threshold", own.verified)
    claim(f"{name}: is trusted after the version before", accepted(document, previous))
    kept = root.signed.unrecognized_fields.get("x-sealwire")
    claim(f"{name}: keeps x-sealwire", kept == signed["x-sealwire"])
    again = json.loads(root.to_bytes())
    claim(f"{name}: is unchanged by python-tuf's writer", again["signed"] == signed)
    canonical = encode_canonical(signed).encode()
    claim(f"{name}: both programs sign the same bytes", canonical == root.signed_bytes)
    for keyid, key in signed["keys"].items():
        digest = hashlib.sha256(encode_canonical(key).encode()).hexdigest()
        claim(f"{name}: key {keyid[:8]} is named by its SHA-256", digest == keyid)
    seats = signed["x-sealwire"]["seats"]
    seated = [keyid for keyids in seats.values() for keyid in keyids]
    claim(
        f"{name}: every seat has one key, every root key one seat",
        all(len(keyids) == 1 for keyids in seats.values())
        and sorted(seated) == sorted(signed["roles"]["root"]["keyids"]),
    )
    return root


def check_bad(name: str, document: dict, previous: Metadata[Root] | None) -> None:
    role = document["signed"]["roles"]["root"]

    few = copy.deepcopy(document)
    own = [s for s in few["signatures"] if s["keyid"] in role["keyids"]]
    kept = [s["keyid"] for s in own[: role["threshold"] - 1]]
    few["signatures"] = [s for s in own if s["keyid"] in kept]
    claim(f"{name}: one signature too few is refused", not accepted(few, previous))

    if previous is not None:
        old = previous.signed.roles["root"]
        few = copy.deepcopy(document)
        by_old = [s["keyid"] for s in few["signatures"] if s["keyid"] in old.keyids]
        dropped = by_old[old.threshold - 1 :]
        few["signatures"] = [s for s in few["signatures"] if s["keyid"] not in dropped]
        claim(f"{name}: too few of the old governors are refused", not accepted(few, previous))

    tampered = copy.deepcopy(document)
    content = tampered["signed"]["x-sealwire"]
    for member in list(content["members"].values())[:1] or [{"names": content["schemas"]}]:
        member["names"]["en"] = f"{member['names'].get('en')}."
    claim(f"{name}: a tampered member is refused", not accepted(tampered, previous))

    repeated = copy.deepcopy(document)
    repeated["signatures"] = repeated["signatures"][:1] * max(2, role["threshold"])
    claim(f"{name}: a key that signs twice is refused", not accepted(repeated, previous))

    listed = copy.deepcopy(document)
    listed["signed"]["roles"]["root"]["keyids"].append(role["keyids"][0])
    claim(f"{name}: a key listed twice is refused", not accepted(listed, previous))


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    before = previous = None
    for path in paths:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        try:
            root = check_good(path, document, previous)
        except (DeserializationError, ValueError, KeyError) as error:
            claim(f"{path}: loads ({error})", False)
            break
        check_bad(path, document, previous)
        if before is not None:
            claim(f"{path}: a version that skips is refused", not accepted(document, before))
            older = json.loads(before.to_bytes())
            claim(f"{path}: a version that goes back is refused", not accepted(older, root))
        before, previous = previous, root
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
