"""Reads Sealwire's part, entry and seal vectors without any code of Sealwire.

usage: entry.py [FOLDER]

FOLDER holds `part`, `entry` and `seal`; the default is `conformance/vectors`. CBOR is read with
PyPI `cbor2` and held to its deterministic form by encoding it again; signatures are checked by
PyPI `cwt`, and what is valid is also signed again from the seed; wraps and sealed parts are opened
with PyPI `cryptography` alone. Every verdict has to be the one in the file, good or bad.

Prints `N passed, 0 failed`; the exit code is 1 if anything failed, or if a file was not read.
"""

import hashlib
import json
import pathlib
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import cbor2
import cwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ED25519, A256GCM, HPKE_9_KE = -19, 3, 57
TYPE = "application/sealwire-statement+cose"
MAX_LEVELS = 16
MAX_PART, MAX_DISCLOSURES, MAX_POINTER = 524_288, 10_000, 512
MAX_WRAP, MAX_SEALED = 1_536_000, 590_080
MAX_MANIFEST, MAX_STATEMENT = 16_384, 17_408

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


def verdict(check: Callable, case: dict) -> Any:
    """What the check answers, or None if it refuses."""
    try:
        return check(case)
    except Refused:
        return None


def judge(what: str, check: Callable, cases: list[dict]) -> None:
    """Claims that the check answers what each case expects of it, and nothing to a bad one."""
    for case in cases:
        found, expected = verdict(check, case), case["expected"]
        # As JSON, where true is not 1.
        same = json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
        claim(f"{what}: {case['why']}", same and (found is not None) == case["valid"])


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# CBOR, docs/PROTOCOL.md section 3


def in_order(value: Any) -> Any:
    """The value with its map keys in bytewise order; `canonical` of cbor2 orders by length."""
    match value:
        case dict():
            return {key: in_order(value[key]) for key in sorted(value, key=cbor2.dumps)}
        case list():
            return [in_order(item) for item in value]
        case cbor2.CBORTag():
            return cbor2.CBORTag(value.tag, in_order(value.value))
    return value


def encode(value: Any) -> bytes:
    return cbor2.dumps(in_order(value))


def allowed(value: Any, levels: int = MAX_LEVELS) -> None:
    need(levels > 0 or not isinstance(value, (list, dict)), "too many levels")
    match value:
        case bool() | str() | bytes():
            pass
        case int():
            need(-(1 << 64) <= value < 1 << 64, "a bignum")
        case list():
            for item in value:
                allowed(item, levels - 1)
        case dict():
            for key, item in value.items():
                allowed(key, levels - 1)
                allowed(item, levels - 1)
        case _:
            raise Refused(f"a {type(value).__name__}")


def decode(data: bytes, limit: int, tag: int | None = None) -> Any:
    need(len(data) <= limit, "too long")
    try:
        value = cbor2.loads(data)
        same = encode(value) == data
    except (cbor2.CBORError, ValueError, TypeError, RecursionError) as error:
        raise Refused(f"not CBOR: {error}") from None
    need(same, "not the deterministic encoding")
    if tag is not None:
        need(isinstance(value, cbor2.CBORTag) and value.tag == tag, "not under its tag")
        value = value.value
    allowed(value)
    return value


def typed(value: Any, type_: type) -> Any:
    """The value, if it is exactly of this type: a boolean is no integer."""
    need(type(value) is type_, f"not a {type_.__name__}")
    return value


def items(value: Any, count: int) -> list:
    need(len(typed(value, list)) == count, f"not {count} items")
    return value


def octets(value: Any, length: int) -> bytes:
    need(len(typed(value, bytes)) == length, f"not {length} bytes")
    return value


def text(value: Any) -> str:
    return typed(value, str)


def uint(value: Any) -> int:
    need(typed(value, int) >= 0, "negative")
    return value


def text_keys(value: Any) -> dict:
    need(all(type(key) is str for key in typed(value, dict)), "a key that is no text")
    return value


def fields(value: Any, names: set, optional: frozenset = frozenset()) -> dict:
    """The map, if it has exactly these keys, or some of the optional ones beside."""
    need(all(type(key) is not bool for key in typed(value, dict)), "a boolean key")
    need(names <= value.keys() <= names | optional, "fields missing or unknown")
    return value


# Names, section 2


def member_id(value: Any) -> str:
    form = r"[A-Z]{2}(-[A-Z0-9]+)*"
    need(len(text(value)) <= 24 and bool(re.fullmatch(form, value)), "no member id")
    return value


def record_id(value: Any) -> str:
    form = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    need(bool(re.fullmatch(form, text(value))), "no record id")
    return value


# Parts, section 5


def read_part(plaintext: bytes) -> list[dict]:
    part = typed(decode(plaintext, MAX_PART), list)
    need(1 <= len(part) <= MAX_DISCLOSURES, "no disclosures, or too many")
    read = []
    for disclosure in part:
        salt, value, pointer = items(disclosure, 3)
        octets(salt, 16)
        need(isinstance(value, (str, int)), "a value of another type")
        need(text(pointer).startswith("/"), "not a pointer to a field")
        need(len(pointer.encode()) <= MAX_POINTER, "a pointer too long")
        digest = sha256(encode(disclosure)).hex()
        read.append({"pointer": pointer, "value": value, "salt": salt.hex(), "digest": digest})
    pointers = [entry["pointer"].encode() for entry in read]
    need(all(a < b for a, b in zip(pointers, pointers[1:])), "pointers not in order, each once")
    return read


def committed_part(case: dict) -> list[dict]:
    part = read_part(bytes.fromhex(case["plaintext"]))
    digests = [bytes.fromhex(disclosure["digest"]) for disclosure in part]
    found = sha256(encode([case["record"], case["class"], digests]))
    need(found.hex() == case["commitment"], "another commitment")
    return part


# Statements, section 7


def of_low_order(point: bytes) -> bool:
    """Whether eight times the point is the neutral one, by its y alone (RFC 8032, 5.1)."""
    p = 2**255 - 19
    d = -121_665 * pow(121_666, -1, p)
    y = (int.from_bytes(point, "little") & (2**255 - 1)) % p
    # Orders 1 and 2, order 4, and order 8: there x squared is -y squared.
    return y in (0, 1, p - 1) or (d * y**4 + 2 * y**2 - 1) % p == 0


def thumbprint(public: bytes) -> bytes:
    """Of a sign key, RFC 9679."""
    return sha256(encode({1: 1, -1: 6, -2: public}))


def members(value: Any) -> None:
    found = [member_id(item) for item in typed(value, list)]
    need(bool(found) and all(a < b for a, b in zip(found, found[1:])), "members not in order")


def kind(value: Any) -> None:
    need(bool(re.fullmatch(r"[a-z][a-z0-9-]{0,63}", text(value))), "no kind")


def heads(value: Any) -> None:
    for member, head in text_keys(value).items():
        size, root = items(head, 2)
        member_id(member), uint(size), octets(root, 32)


def code_lists(value: Any) -> None:
    need(all(type(edition) is str for edition in text_keys(value).values()), "no edition")


def plain(value: Any) -> None:
    match value:
        case str() | int():
            pass
        case list():
            for item in value:
                plain(item)
        case _:
            for item in text_keys(value).values():
                plain(item)


def handling(value: Any) -> None:
    plain(text_keys(value))


def parts(value: Any) -> None:
    need(bool(text_keys(value)), "no parts")
    for part in value.values():
        digest, length, audience = items(part, 3)
        octets(digest, 32), uint(length), octets(audience, 16)


def relation(value: Any) -> None:
    verb, record, issuer = items(value, 3)
    need(verb in ("supersedes", "answers", "withdraws", "erases"), "no relation")
    record_id(record), member_id(issuer)


def read_counts(value: Any) -> None:
    need(len(typed(value, dict)) > 0, "no counts")
    for record, classes in value.items():
        record_id(record)
        need(len(typed(classes, dict)) > 0, "no classes")
        for field_class, count in classes.items():
            text(field_class)
            need(uint(count) > 0, "a count of nothing")


def side(value: Any) -> None:
    need(text(value) in ("asked", "answered"), "neither asked nor answered")


def match_counts(value: Any) -> None:
    """Counts above 0 by community, purpose and type of identifier."""
    rows = 0
    for community, purposes in typed(value, dict).items():
        kind(community)
        need(len(typed(purposes, dict)) > 0, "no purpose")
        for purpose, types in purposes.items():
            kind(purpose)
            need(len(typed(types, dict)) > 0, "no type")
            for of, count in types.items():
                kind(of)
                need(uint(count) > 0, "a count of nothing")
                rows += 1
    need(1 <= rows <= 64, "no counts, or too many")


# A field has the same form in every body that has it.
FORMS = (
    dict.fromkeys(("profile", "register", "until", "epoch", "from", "version", "day"), uint)
    | dict.fromkeys(("federation", "community", "schema"), text)
    | dict.fromkeys(("nonce", "schemaDigest", "commitment", "digest"), partial(octets, length=32))
    | {"audience": partial(octets, length=16), "public": partial(octets, length=1216)}
    | {"match": partial(octets, length=32), "side": side}
    | {"heads": heads, "to": members, "parts": parts, "relation": relation}
    | {"codeLists": code_lists, "handling": handling, "kind": kind, "counts": read_counts}
)
HEAD = {"profile", "federation", "register", "nonce", "heads", "kind"}
RECORD = {"community", "schema", "schemaDigest", "codeLists", "handling", "parts"}
CONTROL = {
    "audience": {"audience", "community", "to", "commitment", "until"},
    "key": {"epoch", "public", "from", "until"},
    "register": {"version", "digest"},
    "reads": {"to", "from", "until", "counts", "commitment"},
    "dummy": set(),
    "matches": {"to", "side", "day", "counts"},
}
OPTIONAL = {"key": frozenset({"match"})}


def read_manifest(payload: bytes) -> dict:
    manifest = typed(decode(payload, MAX_MANIFEST), dict)
    body = CONTROL.get(text(manifest.get("kind")))
    if body is None:
        fields(manifest, HEAD | RECORD, frozenset({"to", "relation"}))
    else:
        fields(manifest, HEAD | body, OPTIONAL.get(manifest["kind"], frozenset()))
    forms = FORMS | ({"counts": match_counts} if manifest["kind"] == "matches" else {})
    for name, value in manifest.items():
        forms[name](value)
    need(manifest["profile"] == 1, "another profile")
    if manifest["kind"] == "reads":
        need(len(manifest["to"]) == 1, "reads of more than one member's records")
        need(manifest["from"] <= manifest["until"], "a time that ends before it begins")
    if manifest["kind"] == "matches":
        need(len(manifest["to"]) == 1, "questions to or from more than one member")
    return manifest


def in_hex(value: Any) -> Any:
    """The value with its byte strings in hexadecimal digits, as the vectors have them."""
    match value:
        case bytes():
            return value.hex()
        case list():
            return [in_hex(item) for item in value]
        case dict():
            return {key: in_hex(item) for key, item in value.items()}
    return value


def verified(statement: bytes, public: bytes) -> tuple[dict, bytes]:
    """Protected header and payload, if the signature holds, strictly."""
    message = items(decode(statement, MAX_STATEMENT, 18), 4)
    protected = typed(message[0], bytes)
    fields(message[1], set())
    header = fields(decode(protected, MAX_STATEMENT), {1, 4, 15, 16})
    need(type(header[1]) is int and header[1] == ED25519, "another algorithm")
    key_id, signature = octets(header[4], 32), octets(message[3], 64)
    need(key_id == thumbprint(public), "another key")
    # OpenSSL, by which cwt verifies, takes such points.
    need(not of_low_order(public) and not of_low_order(signature[:32]), "a point of low order")
    key = cwt.COSEKey.new({1: 1, -1: 6, -2: public, 2: key_id, 3: ED25519})
    try:
        protected_read, _, payload = cwt.COSE.new().decode_with_headers(statement, key)
    except (cwt.CWTError, ValueError) as error:
        raise Refused(f"the signature does not hold: {error}") from None
    need(protected_read == header, "cwt reads another header")
    return header, payload


def read_statement(case: dict) -> dict:
    statement = bytes.fromhex(case["statement"])
    header, payload = verified(statement, bytes.fromhex(case["public"]))
    need(header[16] == TYPE, "another type")
    claims = fields(header[15], {1, 2, 6})
    structure = encode(["Signature1", encode(header), b"", payload])
    leaf = b"\x01" + sha256(statement)
    return {
        "issuer": member_id(claims[1]),
        "subject": record_id(claims[2]),
        "issuedAt": uint(claims[6]),
        "keyId": header[4].hex(),
        "manifest": in_hex(read_manifest(payload)),
        "digest": sha256(statement).hex(),
        "contentDigest": sha256(structure).hex(),
        "leaf": leaf.hex(),
        "leafHash": sha256(b"\x00" + leaf).hex(),
    }


def signed_again(statement: bytes, expected: dict, key: Ed25519PrivateKey) -> bytes:
    """The statement as it comes out if its payload is signed here under these claims."""
    payload = cbor2.loads(statement).value[2]
    claims = {1: expected["issuer"], 2: expected["subject"], 6: expected["issuedAt"]}
    key_id = thumbprint(key.public_key().public_bytes_raw())
    protected = encode({1: ED25519, 4: key_id, 15: claims, 16: TYPE})
    signature = key.sign(encode(["Signature1", protected, b"", payload]))
    return encode(cbor2.CBORTag(18, [protected, {}, payload, signature]))


def check_statements(vector: dict) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed"]))
    judge("statement", read_statement, vector["cases"])
    good = [case for case in vector["cases"] if case["valid"]]
    for case in good:
        statement = bytes.fromhex(case["statement"])
        again = signed_again(statement, case["expected"], key)
        claim(f"statement, signed again: {case['why']}", again == statement)
    kinds = {case["expected"]["manifest"]["kind"] for case in good}
    claim("a statement of every body", CONTROL.keys() < kinds)


# Seals, section 6

SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.SHAKE256, hpke.AEAD.AES_256_GCM)


def seal_key(seed: bytes) -> tuple[hpke.MLKEM768X25519PrivateKey, bytes, bytes]:
    """An X-Wing key, its public half and its thumbprint: one seed makes both private keys."""
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    key_id = sha256(encode({1: 7, 3: HPKE_9_KE, -1: public}))
    return hpke.MLKEM768X25519PrivateKey(lattice, curve), public, key_id


def aes_open(key: bytes, message: list, context: str, external: list) -> bytes:
    """What a COSE_Encrypt or COSE_Encrypt0 seals: RFC 9052, section 5.3."""
    protected, unprotected, sealed = message[:3]
    need(protected == encode({1: A256GCM}), "another algorithm")
    iv = octets(fields(unprotected, {5})[5], 12)
    aad = encode([context, protected, encode(external)])
    try:
        return AESGCM(key).decrypt(iv, typed(sealed, bytes), aad)
    except (InvalidTag, ValueError):
        raise Refused("another key, or altered bytes") from None


def read_recipient(recipient: Any) -> tuple[bytes, bytes, bytes, bytes]:
    """Key id, protected header, encapsulated key and sealed content key, whoever it is for."""
    protected, unprotected, sealed = items(recipient, 3)
    header = fields(decode(typed(protected, bytes), 64), {1, 4})
    need(type(header[1]) is int and header[1] == HPKE_9_KE, "another algorithm")
    encapsulated = octets(fields(unprotected, {-4})[-4], 1120)
    return octets(header[4], 32), protected, encapsulated, octets(sealed, 48)


def content_key_of(message: list, case: dict) -> bytes:
    """The content key, from the recipient for this member under this key."""
    private, _, key_id = seal_key(bytes.fromhex(case["seed"]))
    recipients = [read_recipient(recipient) for recipient in typed(message[3], list)]
    need(1 <= len(recipients) <= 1024, "no recipients, or too many")
    extra = encode([case["originator"], case["member"], bytes.fromhex(case["audience"])])
    for kid, protected, encapsulated, sealed in recipients:
        if kid == key_id:
            info = encode(["HPKE Recipient", A256GCM, protected, extra])
            try:
                return SUITE.decrypt(encapsulated + sealed, private, info)
            except (InvalidTag, ValueError):
                pass
    raise Refused("not for this member and key, or altered bytes")


def open_wrap(case: dict) -> dict:
    originator, audience = case["originator"], bytes.fromhex(case["audience"])
    message = items(decode(bytes.fromhex(case["wrap"]), MAX_WRAP, 96), 4)
    content_key = content_key_of(message, case)
    secret = octets(aes_open(content_key, message, "Encrypt", [originator, audience]), 32)
    committed = sha256(encode(["sealwire audience", audience, secret])).hex()
    need(committed == case["commitment"], "another secret than committed to")
    return {"secret": secret.hex()}


def check_wraps(cases: list[dict]) -> None:
    judge("wrap", open_wrap, cases)
    for case in cases:
        _, public, key_id = seal_key(bytes.fromhex(case["seed"]))
        right = [sha256(public).hex(), key_id.hex()] == [case["publicSha256"], case["thumbprint"]]
        claim(f"wrap, its key: {case['why']}", right)


def padded_length(length: int) -> int:
    n = max(length + 1, 256)
    e = n.bit_length() - 1
    step = 1 << (e - e.bit_length())
    return -(-n // step) * step


def check_padding(cases: list[dict]) -> None:
    for case in cases:
        found = padded_length(case["length"])
        claim(f"padding of {case['length']} bytes", found == case["padded"])


def open_part(case: dict) -> dict:
    originator, record, class_ = case["originator"], case["record"], case["class"]
    message = items(decode(bytes.fromhex(case["sealed"]), MAX_SEALED, 16), 3)
    info = encode(["sealwire part", record, class_])
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive
    bound = [originator, record, class_, bytes.fromhex(case["commitment"])]
    padded = aes_open(derive(bytes.fromhex(case["secret"])), message, "Encrypt0", bound)
    plaintext, delimiter, zeros = padded.rpartition(b"\x80")
    need(delimiter != b"" and not any(zeros), "not padded")
    need(len(padded) == padded_length(len(plaintext)), "padded to another length")
    committed_part(case | {"plaintext": plaintext.hex()})
    return {"plaintext": plaintext.hex(), "length": len(padded)}


READERS = {
    "part/part.json": partial(judge, "part", committed_part),
    "entry/statement.json": check_statements,
    "seal/wrap.json": check_wraps,
    "seal/part.json": partial(judge, "sealed part", open_part),
    "seal/padding.json": check_padding,
}


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    default = pathlib.Path(__file__).resolve().parent.parent / "vectors"
    folder = pathlib.Path(arguments[0]) if arguments else default
    present = {
        str(path.relative_to(folder))
        for area in ("part", "entry", "seal")
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
