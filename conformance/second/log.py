"""Reads Sealwire's tree and checkpoint vectors without any code of Sealwire.

usage: log.py [FOLDER]

FOLDER holds `tree`, `checkpoint` and `cose-receipt`; the default is `conformance/vectors`. Roots are computed by
the recursive definition of RFC 6962, proofs are checked by recursion over the tree's shape, tiles
and bundles are rebuilt from their leaves, and notes, cosignatures, policies and receipts are read
from the C2SP texts; cosignatures are judged by tlog-scales too. Every verdict has to be the one in
the file, good or bad.

Needs PyPI `cbor2`, `cryptography` and `tlog-scales`. Prints `N passed, 0 failed`; the exit code is 1 if anything failed, or
if a file was not read.
"""

import base64
import binascii
import hashlib
import json
import pathlib
import re
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from tlog_scales.signing import NoteSignature as ScalesSignature
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as ScalesCheckpoint

ED25519, COSIGNATURE, MLDSA_COSIGNATURE = 0x01, 0x04, 0x06
PUBLIC_KEYS = {
    ED25519: (32, Ed25519PublicKey),
    COSIGNATURE: (32, Ed25519PublicKey),
    MLDSA_COSIGNATURE: (1312, MLDSA44PublicKey),
}

passed = 0
failed = 0


class Refused(Exception):
    """The input is not what it ought to be."""


def claim(text: str, holds: bool) -> None:
    """Counts one claim and prints it if it does not hold."""
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"failed: {text}", file=sys.stderr)


def need(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


def verdict(check, *arguments):
    """What the check answers, or None if it refuses."""
    try:
        return check(*arguments)
    except Refused:
        return None


# Trees, RFC 9162 section 2.1


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data)


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def tree_hash(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(tree_hash(leaves[:k]), tree_hash(leaves[k:]))


def root_by_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    need(0 <= index < size, "index beyond the tree")
    if size == 1:
        need(not proof, "too many nodes")
        return leaf
    need(bool(proof), "too few nodes")
    k, rest, last = split(size), proof[:-1], proof[-1]
    if index < k:
        return node_hash(root_by_inclusion(leaf, index, k, rest), last)
    return node_hash(last, root_by_inclusion(leaf, index - k, size - k, rest))


def roots_by_consistency(
    old: int, new: int, proof: list[bytes], whole: bytes | None
) -> tuple[bytes, bytes]:
    """Roots of the first `old` leaves and of all `new`; `whole` is the old root where the old
    tree is still a subtree of its own."""
    if old == new:
        if whole is not None:
            need(not proof, "too many nodes")
            return whole, whole
        need(len(proof) == 1, "not the one node expected")
        return proof[0], proof[0]
    need(bool(proof), "too few nodes")
    k, rest, last = split(new), proof[:-1], proof[-1]
    if old <= k:
        old_root, left = roots_by_consistency(old, k, rest, whole)
        return old_root, node_hash(left, last)
    old_right, right = roots_by_consistency(old - k, new - k, rest, None)
    return node_hash(last, old_right), node_hash(last, right)


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    need(0 <= old <= new, "sizes in the wrong order")
    for size, root in (old, old_root), (new, new_root):
        need(size > 0 or root == sha256(b""), "an empty tree with another root")
    if old == 0:
        return not proof
    return roots_by_consistency(old, new, proof, old_root) == (old_root, new_root)


def unhex(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def check_hashing(vector: dict) -> None:
    leaf, node, tree = vector["leaf"], vector["node"], vector["tree"]
    claim("hash of a leaf", leaf_hash(bytes.fromhex(leaf["data"])).hex() == leaf["hash"])
    claim("hash of a node", node_hash(*unhex([node["left"], node["right"]])).hex() == node["hash"])
    leaves = [leaf_hash(data) for data in unhex(tree["leaves"])]
    claim("a root for every size", len(tree["roots_by_size"]) == len(leaves) + 1)
    for size, root in enumerate(tree["roots_by_size"]):
        claim(f"root at size {size}", tree_hash(leaves[:size]).hex() == root)


def check_inclusion(cases: list[dict]) -> None:
    for case in cases:
        leaf, root = leaf_hash(bytes.fromhex(case["leaf"])), bytes.fromhex(case["root"])
        arguments = leaf, case["index"], case["size"], unhex(case["proof"])
        found = verdict(root_by_inclusion, *arguments) == root
        name = f"inclusion of {case['index']} in {case['size']}: {case['why']}"
        claim(name, found == case["valid"])


def check_consistency(cases: list[dict]) -> None:
    for case in cases:
        old, new = case["old_size"], case["new_size"]
        roots = unhex([case["old_root"], case["new_root"]])
        found = verdict(consistent, old, roots[0], new, roots[1], unhex(case["proof"]))
        claim(f"consistency of {old} and {new}: {case['why']}", bool(found) == case["valid"])


# Tiles, C2SP tlog-tiles


def index_path(index: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return "/".join(groups)


def tile_path(kind: object, index: int, width: int) -> str:
    return f"tile/{kind}/{index_path(index)}" + ("" if width == 256 else f".p/{width}")


PATH = re.compile(
    r"tile/(entries|[0-7])/((?:x(?!000/)[0-9]{3}/(?:x[0-9]{3}/)*)?[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


def path_reads(path: str) -> bool:
    match = PATH.fullmatch(path)
    if not match:
        return False
    kind, digits, width = match.groups()
    level = 0 if kind == "entries" else int(kind)
    hashes = int(digits.replace("x", "").replace("/", "")) * 256 + int(width or 256)
    return int(width or 1) < 256 and hashes << (8 * level) < 1 << 64


def tiles_of(size: int) -> list[tuple[int, int, int]]:
    """Level, index and width of each tile of the tree."""
    tiles = []
    for level in range(8):
        hashes = size >> (8 * level)
        for index in range((hashes + 255) // 256):
            tiles.append((level, index, min(256, hashes - 256 * index)))
    return tiles


def log_files(size: int) -> dict[str, bytes]:
    entries = [b"\x01" + sha256(index.to_bytes(8, "big")) for index in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    files = {}
    for level, index, width in tiles_of(size):
        span = 256**level
        places = range(256 * index, 256 * index + width)
        hashes = [tree_hash(leaves[at * span : (at + 1) * span]) for at in places]
        files[tile_path(level, index, width)] = b"".join(hashes)
        if level == 0:
            bundle = [len(entries[at]).to_bytes(2, "big") + entries[at] for at in places]
            files[tile_path("entries", index, width)] = b"".join(bundle)
    files["root"] = tree_hash(leaves)
    return files


def check_layout(vector: dict) -> None:
    for path in vector["paths"]:
        level, index, width = path["level"], path["index"], path["width"]
        claim(f"{path['tile']} is its name", path["tile"] == tile_path(level, index, width))
        claim(f"{path['tile']} is read", path_reads(path["tile"]))
        entries = tile_path("entries", index, width) if level == 0 else None
        claim(f"bundle of {path['tile']}", path["entries"] == entries)
    for path in vector["refused_paths"]:
        claim(f"{path!r} is refused", not path_reads(path))
    for growth in vector["growth"]:
        old = set(tiles_of(growth["old"]))
        new = [tile_path(*tile) for tile in tiles_of(growth["new"]) if tile not in old]
        claim(f"tiles from {growth['old']} to {growth['new']}", growth["tiles"] == new)
    for log in vector["logs"]:
        files = log_files(log["size"])
        claim(f"root of {log['size']} entries", files.pop("root").hex() == log["root"])
        found = {path: sha256(data).hex() for path, data in files.items()}
        claim(f"files of a log of {log['size']} entries", found == log["sha256"])


# Notes, C2SP signed-note, tlog-checkpoint and tlog-cosignature


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not base64") from None
    need(base64.b64encode(data).decode() == text, "not the only spelling in base64")
    return data


def key_name(name: str) -> str:
    need(name != "" and "+" not in name and not re.search(r"\s", name), "not a key name")
    return name


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + public)[:4]


def decimal(text: str) -> int:
    need(re.fullmatch(r"0|[1-9][0-9]*", text, re.ASCII) is not None, "not a decimal number")
    need(int(text) < 1 << 64, "a number beyond 64 bits")
    return int(text)


class Key:
    """A verifier key: `name+hash+base64(type, public key)`."""

    def __init__(self, vkey: str, *kinds: int) -> None:
        items = vkey.split("+", 2)
        need(len(items) == 3, "not a verifier key")
        self.name, data = key_name(items[0]), unbase64(items[2])
        need(data[:1] != b"" and data[0] in kinds, "not a key of this type")
        self.kind, self.public = data[0], data[1:]
        need(len(self.public) == PUBLIC_KEYS[self.kind][0], "a key of another length")
        self.id = key_id(self.name, self.kind, self.public)
        need(items[1] == self.id.hex(), "the hash does not fit the key")

    def signed(self, message: bytes, signature: bytes) -> None:
        try:
            PUBLIC_KEYS[self.kind][1].from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise Refused("the signature does not hold") from None


class Note:
    """A signed note that is also a checkpoint of our profile: three lines."""

    def __init__(self, note: str) -> None:
        need(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", note), "a control character")
        text, parted, lines = note.rpartition("\n\n")
        need(parted != "" and lines.endswith("\n"), "not text, empty line and signatures")
        self.text = text + "\n"
        self.lines = [self.signature(line) for line in lines[:-1].split("\n")]
        items = text.split("\n")
        need(len(items) == 3, "not three lines")
        self.origin, self.size, self.root = key_name(items[0]), decimal(items[1]), unbase64(items[2])
        need(len(self.root) == 32, "not a SHA-256 root")

    @staticmethod
    def signature(line: str) -> tuple[str, bytes, bytes]:
        items = line.split(" ")
        need(len(items) == 3 and items[0] == "\u2014", "not a signature line")
        data = unbase64(items[2])
        need(len(data) > 4, "no signature")
        return key_name(items[1]), data[:4], data[4:]

    def of(self, key: Key) -> list[bytes]:
        return [data for name, id_, data in self.lines if (name, id_) == (key.name, key.id)]

    def verify_log(self, key: Key) -> "Note":
        need(self.origin == key.name, "another log")
        need(bool(self.of(key)), "not signed by the log")
        for signature in self.of(key):
            key.signed(self.text.encode(), signature)
        return self


def cosigned_at(key: Key, text: str, data: bytes) -> int:
    length = {COSIGNATURE: 64, MLDSA_COSIGNATURE: 2420}[key.kind]
    need(len(data) == 8 + length, "not a time and a signature")
    time = int.from_bytes(data[:8], "big")
    need(0 < time < 1 << 63, "not a time")
    if key.kind == COSIGNATURE:
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
    else:
        origin, size, root = text[:-1].split("\n")
        message = b"subtree/v1\n\0" + short(key.name) + data[:8] + short(origin)
        message += bytes(8) + int(size).to_bytes(8, "big") + unbase64(root)
    key.signed(message, data[8:])
    return time


def short(text: str) -> bytes:
    data = text.encode()
    need(0 < len(data) < 256, "no length of one byte")
    return bytes([len(data)]) + data


def check_checkpoint(vector: dict) -> None:
    key = Key(vector["vkey"], ED25519)
    for case in vector["cases"]:
        note = verdict(lambda: Note(case["note"]).verify_log(key))
        head = note and {"size": note.size, "root": note.root.hex()}
        right = (note is not None) == case["valid"] and head == case["head"]
        claim(f"checkpoint: {case['why']}", right)


def check_mldsa_cosignature(vector: dict) -> None:
    key = MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(vector["seed"])).public_key()
    listed = Key(vector["vkey"], MLDSA_COSIGNATURE)
    claim("public key of an ML-DSA-44 seed", listed.public == key.public_bytes_raw())
    check_cosignature(vector)


def check_cosignature(vector: dict) -> None:
    key = Key(vector["vkey"], COSIGNATURE, MLDSA_COSIGNATURE)

    def time(line: str) -> int:
        name, id_, data = Note.signature(line)
        need((name, id_) == (key.name, key.id), "another cosigner")
        return cosigned_at(key, vector["text"], data)

    for case in vector["cases"]:
        claim(f"cosignature: {case['why']}", verdict(time, case["line"]) == case["time"])
        held = verdict(scales_time, vector["vkey"], vector["text"], case["line"])
        # tlog-scales takes any time.
        bounded = held if held and held < 1 << 63 else None
        claim(f"cosignature, tlog-scales: {case['why']}", bounded == case["time"])


def scales_time(vkey: str, text: str, line: str) -> int:
    """The time of a cosignature that PyPI tlog-scales accepts."""
    signature, key = ScalesSignature.from_line(line), Vkey.from_string(vkey)
    need(key.match(signature), "another cosigner")
    verifier = key.get_verifier()
    try:
        verifier.verify_note(signature, ScalesCheckpoint.from_text(f"{text}\n{line}\n"))
    except InvalidSignature:
        raise Refused("the signature does not hold") from None
    return verifier.get_timestamp(signature.payload)


# Policies, C2SP tlog-policy


class Policy:
    """Logs, witnesses, and groups in the order of the file."""

    def __init__(self, text: str) -> None:
        need(text.endswith("\n") and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), "not lines")
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum: str | None = None
        for line in text[:-1].split("\n"):
            items = re.findall(r"[^ \t]+", line)
            if items and not items[0].startswith("#"):
                self.line(items)
        need(self.quorum is not None, "no quorum")

    def line(self, items: list[str]) -> None:
        match items:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(Key(vkey, ED25519))
                need(len({key.public for key in self.logs}) == len(self.logs), "a log twice")
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self.free(name)
                self.witnesses[name] = Key(vkey, COSIGNATURE, MLDSA_COSIGNATURE)
                keys = {key.public for key in self.witnesses.values()}
                need(len(keys) == len(self.witnesses), "a witness twice")
            case ["group", name, threshold, *members] if members:
                self.free(name)
                grouped = [member for _, group in self.groups.values() for member in group]
                for at, member in enumerate(members):
                    need(member in self.witnesses or member in self.groups, "undefined")
                    need(member not in grouped and member not in members[:at], "grouped twice")
                words = {"any": 1, "all": len(members)}
                k = words[threshold] if threshold in words else decimal(threshold)
                need(1 <= k <= len(members), "not a threshold")
                self.groups[name] = k, members
            case ["quorum", name]:
                defined = name in self.witnesses or name in self.groups or name == "none"
                need(defined and self.quorum is None, "quorum undefined or twice")
                self.quorum = name
            case _:
                raise Refused("not a line of a policy")

    def free(self, name: str) -> None:
        taken = name in self.witnesses or name in self.groups or name == "none"
        need(not taken, "a name twice")

    def evaluate(self, note: Note, owner: str) -> tuple[bool, list[list]]:
        """Whether the quorum is reached, and by whom; the log's owner does not count."""
        logs = [key for key in self.logs if key.name == note.origin]
        need(any(verdict(note.verify_log, key) for key in logs), "not signed by a known log")
        times = {}
        for name, key in self.witnesses.items():
            signed = [cosigned_at(key, note.text, data) for data in note.of(key)]
            if signed and key.name != owner:
                times[name] = min(signed)

        def holds(name: str) -> bool:
            if name not in self.groups:
                return name == "none" or name in times
            k, members = self.groups[name]
            return sum(map(holds, members)) >= k

        return holds(self.quorum), [[name, time] for name, time in times.items()]


def check_policy(vector: dict) -> None:
    for case in vector["evaluations"]:
        policy = Policy(case["policy"])
        found = verdict(policy.evaluate, Note(case["note"]), case["owner"]) or (None, None)
        claim(f"policy: {case['why']}", found == (case["satisfied"], case["witnesses"]))
    for text in vector["refused"]:
        claim(f"a policy is refused: {text[-40:]!r}", verdict(Policy, text) is None)


# Receipts, C2SP tlog-proof


def receipt_holds(text: str, leaf: bytes, origin: str, policy: Policy) -> bool:
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    need(lines.pop(0) == "c2sp.org/tlog-proof@v1", "another version")
    if lines and lines[0].startswith("extra "):
        unbase64(lines.pop(0).removeprefix("extra "))
    need(bool(lines) and lines[0].startswith("index "), "no index")
    index = decimal(lines.pop(0).removeprefix("index "))
    proof = [unbase64(line) for line in lines]
    need(all(len(node) == 32 for node in proof), "a node of another length")
    note = Note(checkpoint)
    need(note.origin == origin, "another log")
    need(root_by_inclusion(leaf_hash(leaf), index, note.size, proof) == note.root, "another root")
    return policy.evaluate(note, origin)[0]


def check_receipt(vector: dict) -> None:
    policy = Policy(vector["policy"])
    for case in vector["cases"]:
        leaf = bytes.fromhex(case["leaf"])
        found = verdict(receipt_holds, case["receipt"], leaf, vector["origin"], policy)
        claim(f"receipt: {case['why']}", bool(found) == case["valid"])


# COSE receipts, RFC 9942


def uncbor(data: bytes) -> object:
    """A value in the one deterministic encoding. No map here has keys whose two orders differ."""
    need(isinstance(data, bytes), "not a byte string")
    try:
        value = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError):
        raise Refused("not CBOR") from None
    need(cbor2.dumps(value, canonical=True) == data, "not the one encoding")
    return value


def bare_receipt(key: Key, statement: bytes, receipt: bytes) -> tuple[int, bytes]:
    """Size and root of a receipt that holds as RFC 9942 has it, which binds neither size nor
    index."""
    message = uncbor(receipt)
    need(isinstance(message, cbor2.CBORTag) and message.tag == 18, "not a COSE_Sign1")
    need(isinstance(message.value, list) and len(message.value) == 4, "not a COSE_Sign1")
    protected, unprotected, payload, signature = message.value
    thumbprint = sha256(cbor2.dumps({1: 1, -1: 6, -2: key.public}, canonical=True))
    need(uncbor(protected) == {1: -19, 4: thumbprint, 395: 1}, "another header")
    need(payload is None, "a payload that is not detached")
    proofs = unprotected.get(396, {}).get(-1)
    need(bool(proofs) and unprotected == {396: {-1: proofs}}, "another unprotected header")
    need(len(proofs) == 1, "not one proof")
    proof = uncbor(proofs[0])
    need(isinstance(proof, list) and len(proof) == 3, "not size, index and path")
    size, index, path = proof
    need(all(type(number) is int and number >= 0 for number in (size, index)), "not numbers")
    need(bool(path) and all(type(node) is bytes and len(node) == 32 for node in path), "no path")
    root = root_by_inclusion(leaf_hash(b"\x01" + sha256(statement)), index, size, path)
    need(len(signature) == 64, "not a signature")
    key.signed(cbor2.dumps(["Signature1", protected, b"", root]), signature)
    return size, root


def export_holds(key: Key, data: bytes) -> bool:
    """Whether the receipt is of the tree that the checkpoint beside it signs."""
    export = uncbor(data)
    need(isinstance(export, dict), "not a map")
    need(set(export) == {"type", "receipt", "checkpoint", "statement"}, "other fields")
    need(export["type"] == "sealwire-cose-receipt-v1", "another type")
    note = Note(export["checkpoint"]).verify_log(key)
    return bare_receipt(key, export["statement"], export["receipt"]) == (note.size, note.root)


def check_cose_receipt(vector: dict) -> None:
    key = Key(vector["vkey"], ED25519)
    for case in vector["cases"]:
        data = bytes.fromhex(case["export"])
        found = verdict(export_holds, key, data)
        claim(f"COSE receipt: {case['why']}", bool(found) == case["valid"])
        if case["bare"] is not None:
            export = cbor2.loads(data)
            found = verdict(bare_receipt, key, export["statement"], export["receipt"])
            claim(f"bare COSE receipt: {case['why']}", (found is not None) == case["bare"])


READERS = {
    "tree/hashing.json": check_hashing,
    "tree/inclusion.json": check_inclusion,
    "tree/consistency.json": check_consistency,
    "tree/layout.json": check_layout,
    "checkpoint/checkpoint.json": check_checkpoint,
    "checkpoint/cosignature.json": check_cosignature,
    "checkpoint/cosignature-mldsa.json": check_mldsa_cosignature,
    "checkpoint/policy.json": check_policy,
    "checkpoint/receipt.json": check_receipt,
    "cose-receipt/cose-receipt.json": check_cose_receipt,
}


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    default = pathlib.Path(__file__).resolve().parent.parent / "vectors"
    folder = pathlib.Path(arguments[0]) if arguments else default
    present = {
        str(path.relative_to(folder))
        for area in ("tree", "checkpoint", "cose-receipt")
        for path in (folder / area).rglob("*")
        if path.is_file()
    }
    for name in sorted(present ^ READERS.keys()):
        claim(f"{name}: there is a file and a reader", False)
    for name in sorted(present & READERS.keys()):
        try:
            before = passed + failed
            READERS[name](json.loads((folder / name).read_text(encoding="utf-8")))
            claim(f"{name}: says anything", passed + failed > before)
        except (Refused, ValueError, KeyError, TypeError) as error:
            claim(f"{name}: is read ({type(error).__name__}: {error})", False)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
