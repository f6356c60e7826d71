"""Reads Sealwire registers with python-tuf, the reference implementation of TUF.

usage: register_tuf.py [FILE ...]

Gives python-tuf's verdict on every attack in `conformance/vectors/register`, beside the one of the
project's own tests, and names the cases in which the two differ: there Sealwire refuses what TUF
accepts, or serves for a grace period after the expiry that TUF holds to.

The files, if there are any, are consecutive versions of one federation's register. Each has to load as TUF root
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
from datetime import datetime, timezone
from pathlib import Path

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

VECTORS = Path(__file__).parents[1] / "vectors" / "register" / "attacks.json"

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


def trust(documents: list[dict]) -> Metadata[Root] | None:
    """The last of a chain of good versions."""
    previous = None
    for document in documents:
        if not accepted(document, previous):
            raise ValueError("a version that was to be trusted before is refused")
        previous = load(document)
    return previous


def check_attacks() -> None:
    """Holds the verdicts in the vectors to python-tuf's own."""
    with open(VECTORS, encoding="utf-8") as file:
        vectors = json.load(file)
    documents = vectors["documents"]
    stricter = []
    for case in vectors["cases"]:
        name = case["attack"]
        previous = trust([documents[version] for version in case["trusted"]])
        found = "accepted" if accepted(case["offered"], previous) else "refused"
        claim(f"{name}: python-tuf says {case['tuf']}", found == case["tuf"])
        ours = case["sealwire"] == "accepted"
        claim(f"{name}: what python-tuf refuses, Sealwire refuses", not ours or found == "accepted")
        if found == "accepted" and not ours:
            stricter.append(f"{name} ({case['sealwire']})")
    claim("there are cases in which Sealwire alone refuses", len(stricter) > 0)
    print("stricter than TUF:", "; ".join(stricter), file=sys.stderr)
    for case in vectors["expiry"]:
        at = datetime.fromtimestamp(case["at"], timezone.utc)
        expired = load(documents[case["document"]]).signed.is_expired(at)
        claim(f"at {at}: python-tuf says expired {expired}", expired == case["tuf_expired"])
        valid = case["sealwire"] == "valid"
        claim(f"at {at}: valid here means not expired there", valid == (not expired))


def main(paths: list[str]) -> int:
    check_attacks()
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
