"""Verification, by the program that the package carries."""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import typing

from .error import Error

File = typing.Union[str, os.PathLike, bytes]

PROGRAM = pathlib.Path(__file__).with_name("bin") / ("zkllmc-verifier.exe" if os.name == "nt" else "zkllmc-verifier")
ACCEPTED, REJECTED = 0, 1  # exit codes; all others mean that nothing was decided


@dataclasses.dataclass(frozen=True)
class Report:
    """What a verification said. It is true where the proof was accepted, so that `if verify(…)` asks that."""

    accepted: bool
    error: typing.Optional[str]
    """Why it was rejected."""
    members: typing.Mapping[str, typing.Any]
    """All members that `verifier verify --json` prints: prompt and answer as tokens and texts, or ports with their values."""

    def __bool__(self):
        return self.accepted


def verify(
    bundle: File,
    statement: File,
    proof: File,
    *,
    id: str,
    prompt: typing.Optional[str] = None,
    messages: typing.Optional[typing.Sequence[typing.Mapping[str, typing.Any]]] = None,
    answer: typing.Optional[str] = None,
    text: typing.Optional[str] = None,
    no_saturation: bool = False,
    timeout: typing.Optional[float] = None,
) -> Report:
    """Checks a proof about the model with this ID, 64 hexadecimal digits. Files are paths, or bytes.

    What is given of prompt and answer (of a model that continues prompts) or text (of one that reads a text whole) is compared with the
    statement, and a proof about anything else is rejected; messages, in place of a prompt, are the whole conversation that the model answered,
    as it was sent: dictionaries with role and content, the user's last message at the end. With no_saturation a proof that does not show that no
    value was clamped is rejected, too.
    Raises Error where nothing could be decided: a file that is missing or of another kind, a question that does not fit the model, a time
    that is over.
    """
    if not (isinstance(id, str) and len(id) == 64 and all(c in "0123456789abcdefABCDEF" for c in id)):
        raise Error("the ID of a model is 64 hexadecimal digits")
    if prompt is not None and messages is not None:
        raise Error("give a prompt or messages: not both")
    if text is not None and (prompt is not None or messages is not None or answer is not None):
        raise Error("a model has a prompt and an answer, or reads a text: not both")
    with _Files() as files:
        args = ["verify", "--json", "--id", id.lower()]
        args += ["--statement", files.path(statement, "statement"), "--proof", files.path(proof, "proof")]
        for name, value in (("prompt", prompt), ("answer", answer), ("text", text)):
            if value is not None:
                args += [f"--{name}-file", files.text(value, name)]
        if messages is not None:
            args += ["--messages", files.list(messages)]
        if no_saturation:
            args.append("--no-saturation")
        done = _run(files.path(bundle, "bundle"), args, timeout)
    return _report(done)


def accept(bundle: File, *, timeout: typing.Optional[float] = None) -> str:
    """Verifies the range proof of a bundle's key and returns the model's ID: seconds for large models, once for each model.

    The ID says which program with which hidden weights, nothing of who made them. Raises Error if the bundle is not one that proofs can be
    checked with.
    """
    with _Files() as files:
        done = _run(files.path(bundle, "bundle"), ["accept", "--json"], timeout)
    members = _members(done)
    if done.returncode != ACCEPTED or not members.get("accepted"):
        raise Error(members.get("error") or _said(done))
    return members["model_id"]


class _Files:
    """Files for the program: those that are given as bytes or texts in a folder that nobody else reads, for as long as it runs."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="zkllmc-")
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def path(self, file, name):
        if isinstance(file, (bytes, bytearray, memoryview)):
            path = pathlib.Path(self.folder.name) / name
            path.write_bytes(file)
            return str(path)
        try:
            path = pathlib.Path(file)
        except TypeError:
            raise Error(f"{name}: give a path or bytes, not {type(file).__name__}") from None
        if not path.is_file():
            raise Error(f"{name}: there is no file {path}")
        return str(path.absolute())

    def text(self, value, name):
        if not isinstance(value, str):
            raise Error(f"{name}: give a text, not {type(value).__name__}")
        try:
            data = value.encode("utf-8")
        except UnicodeEncodeError as e:
            raise Error(f"{name}: {e}") from None
        return self.path(data + b"\r\n", "asked-" + name)  # the program takes one line end off, and a text may end with \r

    def list(self, messages):
        try:
            data = json.dumps([dict(m) for m in messages], ensure_ascii=False).encode("utf-8")
        except (TypeError, ValueError) as e:
            raise Error(f"messages: give a list of dictionaries with role and content: {e}") from None
        return self.path(data, "asked-messages")


def _run(bundle, args, timeout):
    try:
        return subprocess.run(
            [str(PROGRAM), "--bundle", bundle, *args],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, encoding="utf-8", errors="replace",
        )
    except FileNotFoundError:
        raise Error(f"the verifier {PROGRAM} is missing: install a wheel of zkllmc for this platform") from None
    except subprocess.TimeoutExpired:
        raise Error(f"the verifier was not done after {timeout} s") from None


def _said(done):
    return done.stderr.strip() or f"the verifier ended with {done.returncode}"


def _members(done):
    try:
        members = json.loads(done.stdout)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise Error(_said(done))
    return members


def _report(done):
    members = _members(done)
    if done.returncode not in (ACCEPTED, REJECTED):
        raise Error(members.get("error") or _said(done))
    accepted = done.returncode == ACCEPTED and members.get("accepted") is True
    if accepted != (done.returncode == ACCEPTED) or accepted != (members.get("accepted") is True):
        raise Error(f"the verifier contradicts itself: {_said(done)}")
    return Report(accepted, members.get("error"), members)
