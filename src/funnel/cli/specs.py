"""Tasks from files."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from json import JSONDecodeError, JSONDecoder
from pathlib import Path

from funnel.core.error import Invalid, NotFound, Problem
from funnel.core.task import Spec
from funnel.core.validate import check
from funnel.wire.json import read_spec


def specs_of(file: Path) -> list[Spec]:
    """The tasks of a file. Raises `Invalid`, and `NotFound` for one that cannot be read."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {file}: {error.strerror}") from error
    return read_specs(content, where=str(file))


def read_specs(content: bytes, *, where: str) -> list[Spec]:
    """The tasks of concatenated JSON, checked. Raises `Invalid` that says which is wrong."""
    texts = list(_texts(content, where))
    return [
        _checked(text, where if len(texts) == 1 else f"{where}, task {number}")
        for number, text in enumerate(texts, 1)
    ]


def _texts(content: bytes, where: str) -> Iterator[bytes]:
    """The JSON documents of a stream, one after another."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(f"{where} is not text in UTF-8") from None
    decoder, at = JSONDecoder(), 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        try:
            _, end = decoder.raw_decode(text, at)
        except JSONDecodeError as error:
            place = f"line {error.lineno} column {error.colno}"
            raise Invalid(f"{where} is not JSON: {error.msg} at {place}") from None
        except RecursionError:
            raise Invalid(f"{where} is nested too deeply") from None
        yield text[at:end].encode()
        at = end


def checked(spec: Spec, *, where: str) -> Spec:
    """A task that may be sent. Raises `Invalid` with all that is wrong in one line."""
    with _told(where):
        check(spec)
    return spec


def _checked(text: bytes, where: str) -> Spec:
    with _told(where):
        spec = read_spec(text)
    return checked(spec, where=where)


@contextmanager
def _told(where: str) -> Generator[None]:
    try:
        yield
    except Invalid as error:
        problems = error.problems or (Problem("", str(error)),)
        lines = [" ".join(filter(None, (one.field, one.message))) for one in problems]
        raise Invalid(f"{where}: {'; '.join(lines)}", error.problems) from error
