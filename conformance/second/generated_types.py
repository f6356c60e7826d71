"""Judges whether ordinary code generators cope with Sealwire's schemas, and what their types hold.

usage: generated_types.py

Runs the commands that `schemas/README.md` gives, on a copy of `schemas/json` alone: PyPI
`datamodel-code-generator` writes Python, npm `json-schema-to-typescript` writes TypeScript, neither
with a complaint. Nothing is fetched: the host in every `$id` is of a domain that does not exist.

Each example fits the type of its kind in both languages, and is the same again after pydantic has
read and written it. Then it is broken in every place, one at a time: without a required field, of an
unknown kind, with a value of another type, with an unknown field. pydantic refuses each of these, and
so does the TypeScript compiler, which reports a `@ts-expect-error` that no error follows.

Needs what `conformance/types/package-lock.json` names in `conformance/types/node_modules`. Prints
`N passed, 0 failed`; the exit code is 1 if anything failed, or if nothing was judged.
"""

import importlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import pydantic

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = [pathlib.Path(sys.executable).parent, ROOT / "conformance/types/node_modules/.bin"]
BASE = "https://sealwire.example/schemas/"
# The definitions that the kinds share; no kind itself.
COMMON = "common.v1.json"
LEAST = 50

passed = 0
failed = 0


class Kind(NamedTuple):
    """A record kind: the name of its file without `.json`, and what generators call its type."""

    file: str
    type: str
    required: tuple[str, ...]


class Case(NamedTuple):
    """A document, and whether the type of its kind has to take it."""

    text: str
    kind: Kind
    document: Any
    fits: bool


def claim(text: str, holds: bool) -> None:
    """Counts one claim and prints it if it does not hold."""
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"failed: {text}", file=sys.stderr)


def read_kinds() -> dict[str, Kind]:
    """Every kind by its name; generators make the name of its type from its title."""
    kinds = {}
    for path in sorted((ROOT / "schemas/json").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        claim(f"{path.name}: the id is its own", schema["$id"] == BASE + path.name)
        if path.name != COMMON:
            name = "".join(word.capitalize() for word in schema["title"].split())
            kind = Kind(path.stem, name, tuple(schema["required"]))
            kinds[schema["properties"]["kind"]["const"]] = kind
    return kinds


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """The path of each value within, and the value; first of all itself."""
    yield path, value
    children = {dict: lambda: value.items(), list: lambda: enumerate(value)}
    for key, child in children.get(type(value), tuple)():
        yield from places(child, (*path, key))


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with another value at that path; what is not on the path is shared."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def broken(kind: Kind, document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in kind.required:
        yield f"without {name}", {k: v for k, v in document.items() if k != name}
    yield "of an unknown kind", document | {"kind": "unknown-kind"}
    for path, value in places(document):
        pointer = "".join(f"/{key}" for key in path) or "all"
        # Truth values count as numbers here: neither can be this text.
        yield f"{pointer} of another type", changed(
            document, path, "seven" if isinstance(value, int) else 7
        )
        if isinstance(value, dict):
            more = changed(document, path, value | {"unknownField": "here"})
            yield f"{pointer} with an unknown field", more


def read_cases(kinds: dict[str, Kind]) -> Iterator[Case]:
    for path in sorted((ROOT / "schemas/examples").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        kind = kinds[document["kind"]]
        yield Case(path.name, kind, document, True)
        for how, wrong in broken(kind, document):
            yield Case(f"{path.name} {how}", kind, wrong, False)


def run(command: list[str], folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*map(str, TOOLS), os.environ["PATH"]])
    # The program is looked for along the PATH given to it, not along ours.
    program = shutil.which(command[0], path=path)
    if program is None:
        sys.exit(f"cannot run {command[0]}: it is not installed\nhint: run conformance/test.sh")
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [program, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )


def generate(folder: pathlib.Path) -> None:
    """Runs what the README tells developers to run, in a folder with nothing but the schemas."""
    shutil.copytree(ROOT / "schemas/json", folder / "json")
    readme = (ROOT / "schemas/README.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"^```sh\n(.*?)^```", readme, re.M | re.S) if "json2ts" in b)
    commands = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    named = [command[0] for command in commands]
    claim(f"{named} are the generators", named == ["datamodel-codegen", "json2ts"])
    for command in commands:
        done = run(command, folder)
        print(done.stdout + done.stderr, end="", file=sys.stderr)
        claim(f"{command[0]} has no complaint", done.returncode == 0 and not done.stderr)


def judge_python(folder: pathlib.Path, cases: list[Case]) -> None:
    sys.path.insert(0, str(folder))
    for text, kind, document, fits in cases:
        module = importlib.import_module("python." + re.sub(r"\W", "_", kind.file))
        model = getattr(module, kind.type)
        try:
            value = model.model_validate(document)
        except pydantic.ValidationError:
            value = None
        claim(f"Python {'takes' if fits else 'refuses'} {text}", (value is not None) == fits)
        if fits and value is not None:
            written = value.model_dump(mode="json", by_alias=True, exclude_none=True)
            claim(f"Python writes {text} as it was", written == document)


def judge_typescript(folder: pathlib.Path, cases: list[Case]) -> None:
    kinds = sorted({case.kind for case in cases})
    lines = [f'import type {{ {k.type} }} from "./typescript/{k.file}";' for k in kinds]
    about = {}
    for number, (text, kind, document, fits) in enumerate(cases):
        if not fits:
            # Reported in its own line if there is no error in the next one.
            lines.append("// @ts-expect-error")
            about[len(lines)] = text
        lines.append(f"export const c{number}: {kind.type} = {json.dumps(document)};")
        about[len(lines)] = text
    (folder / "cases.ts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = run(["tsc", "--strict", "--noEmit", "--pretty", "false", "cases.ts"], folder)
    errors = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    wrong = {int(n) for n in re.findall(r"^cases\.ts\((\d+),", done.stdout, re.M)}
    for error in errors[:20]:
        print(error, file=sys.stderr)
    # Errors in the types, the imports or the command: then nothing has been judged.
    elsewhere = [error for error in errors if not error.startswith("cases.ts(")]
    judged = not elsewhere and wrong <= about.keys() and bool(done.returncode) == bool(errors)
    claim("the types compile", judged)
    failing = {about[line] for line in wrong & about.keys()}
    for text, _, _, fits in cases:
        holds = judged and text not in failing
        claim(f"TypeScript {'takes' if fits else 'refuses'} {text}", holds)


def main() -> int:
    kinds = read_kinds()
    cases = list(read_cases(kinds))
    examples = [case for case in cases if case.fits]
    claim("there are enough examples", len(examples) >= LEAST)
    claim("each kind has an example", {e.kind for e in examples} == set(kinds.values()))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        generate(folder)
        judge_python(folder, cases)
        judge_typescript(folder, cases)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
