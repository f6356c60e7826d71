"""Judges the logs that a node has written, without any code of Sealwire.

usage: live.py DATA [LOG...]

The checkpoint of each LOG has to be cosigned with both kinds, Ed25519 and ML-DSA-44.

DATA is a node's data directory. The register's versions are judged by PyPI `tuf`; the keys of all
else are those that the last version lists. Of each log: PyPI `tlog-scales` verifies the checkpoint's
signature and every cosignature; every statement is read with `cbor2` and verified by `cwt`, and its
digest has to be the one in the entry bundle at its index.

Prints `N passed, 0 failed`; the exit code is 1 if anything failed or nothing was there to judge.
"""

import base64
import hashlib
import io
import json
import pathlib
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from tlog_scales.signing import NoteSignature, Vkey
from tlog_scales.tlog import Checkpoint

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import entry  # noqa: E402
import log  # noqa: E402
import register_tuf  # noqa: E402

WIDTH = 256
counted = {True: 0, False: 0}


def claim(text: str, holds: bool) -> None:
    """Counts one claim and prints it if it does not hold."""
    counted[holds] += 1
    if not holds:
        print(f"failed: {text}", file=sys.stderr)


def vkey(name: str, kind: int, public: bytes) -> str:
    number = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).hexdigest()[:8]
    return f"{name}+{number}+{base64.b64encode(bytes([kind]) + public).decode()}"


def register(data: pathlib.Path) -> dict:
    """The last version, after python-tuf has judged the chain."""
    versions = sorted(data.glob("register/*.root.json"), key=lambda f: int(f.name.split(".")[0]))
    if register_tuf.main([str(version) for version in versions]) != 0:
        raise SystemExit("the register does not hold")
    return json.loads(versions[-1].read_bytes())["signed"]["x-sealwire"]


def keys(member: dict, use: str) -> list[dict]:
    return [key for key in member["keys"] if key["use"] == use]


def public(key: dict) -> bytes:
    return bytes.fromhex(key["public"])


def signed_by(key: str, text: str, line: str) -> bool:
    """Whether tlog-scales takes the signature line as one by the key."""
    signature, vkey_ = NoteSignature.from_line(line), Vkey.from_string(key)
    if not vkey_.match(signature):
        return False
    try:
        vkey_.get_verifier().verify_note(signature, Checkpoint.from_text(f"{text}\n{line}\n"))
    except InvalidSignature:
        return False
    return True


def checkpoint(
    folder: pathlib.Path, name: str, federation: str, members: dict, wanted: dict
) -> Checkpoint:
    note = (folder / "checkpoint").read_text()
    text, lines = note.split("\n\n")
    text, lines = f"{text}\n", lines.splitlines()
    own = vkey(f"{federation}/{name}", log.ED25519, public(keys(members[name], "log")[0]))
    claim(f"{name}: the log's key signed the checkpoint", signed_by(own, text, lines[0]))
    other = text.replace("\n", "\n1", 1)
    claim(f"{name}: not one of another size", not signed_by(own, other, lines[0]))
    kinds = set()
    for line in lines[1:]:
        witness = line.split(" ")[1].removeprefix(f"{federation}/")
        kind, use = log.COSIGNATURE, "cosign"
        if len(base64.b64decode(line.split(" ")[2])) > 1000:
            kind, use = log.MLDSA_COSIGNATURE, "cosign-pq"
        kinds.add(kind)
        key = vkey(f"{federation}/{witness}", kind, public(keys(members[witness], use)[0]))
        where = f"{name}: {witness}, type {kind:#04x}"
        claim(f"{where} cosigned the checkpoint", signed_by(key, text, line))
        claim(f"{where} not another", witness != name and not signed_by(key, other, line))
    claim(f"{name}: cosigned with {wanted}", kinds >= wanted.get(name, set()))
    return Checkpoint.from_text(note)


def leaves(folder: pathlib.Path, size: int) -> list[bytes]:
    """The leaf data, from the entry bundles."""
    found = []
    for index in range(0, size, WIDTH):
        width = min(WIDTH, size - index)
        path = folder / "tile/entries" / log.index_path(index // WIDTH)
        if width < WIDTH and not path.exists():
            path = path.with_name(f"{path.name}.p") / str(width)
        data = io.BytesIO(path.read_bytes())
        for _ in range(width):
            found.append(data.read(int.from_bytes(data.read(2), "big")))
    return found


def statements(folder: pathlib.Path, name: str, members: dict, entries: list[bytes]) -> int:
    """How many statements there are; each is the one in the tree, signed by a key of its index."""
    signers = {entry.thumbprint(public(key)): key for key in keys(members[name], "sign")}
    seen = 0
    for path in sorted(p for p in folder.glob("statement/**/*") if p.is_file()):
        data = io.BytesIO(path.read_bytes())
        while data.tell() < len(data.getbuffer()):
            index, statement, _, _ = cbor2.load(data)
            if index >= len(entries):
                continue
            seen += 1
            where = f"{name} {index}"
            digest = b"\x01" + hashlib.sha256(statement).digest()
            claim(f"{where}: the statement is the one in the tree", entries[index] == digest)
            header = cbor2.loads(cbor2.loads(statement).value[0])
            key = signers.get(header[4], {})
            valid = key and key["from"] <= index < key.get("until", 1 << 64)
            claim(f"{where}: its key is valid there", bool(valid))
            try:
                read, payload = entry.verified(statement, public(key))
                claim(f"{where}: it is signed by its log's owner", read[15][1] == name)
                entry.read_manifest(payload)
            except entry.Refused as refused:
                claim(f"{where}: {refused}", False)
            spoilt = statement[:-1] + bytes([statement[-1] ^ 1])
            try:
                entry.verified(spoilt, public(key))
                claim(f"{where}: a changed signature is refused", False)
            except entry.Refused:
                claim(f"{where}: a changed signature is refused", True)
    return seen


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    data = pathlib.Path(arguments[0])
    both = {log.COSIGNATURE, log.MLDSA_COSIGNATURE}
    wanted = {name: both for name in arguments[1:]}
    federation = register(data)
    for folder in sorted((data / "logs").iterdir()):
        name = folder.name
        head = checkpoint(folder, name, federation["federation"], federation["members"], wanted)
        entries = leaves(folder, head.size)
        root = log.tree_hash([log.leaf_hash(entry_) for entry_ in entries])
        claim(f"{name}: the entries make the signed root", root == head.root_hash)
        seen = statements(folder, name, federation["members"], entries)
        claim(f"{name}: there are statements", seen > 0)
    passed, failed = counted[True] + register_tuf.passed, counted[False] + register_tuf.failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
