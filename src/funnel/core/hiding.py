"""URLs that give access: what is kept and shown of a task, and what its worker gets beside it."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, TypeVar
from urllib.parse import unquote

from msgspec.structs import replace

from funnel.core.task import Input, Output, Spec
from funnel.core.url import parted
from funnel.core.value import Value

S = TypeVar("S", bound=Spec)
F = TypeVar("F", Input, Output)
Urls: TypeAlias = Mapping[int, str]

HIDDEN: Final = "***"
SIGNS: Final = frozenset(
    {
        *("x-amz-signature", "x-amz-security-token", "x-goog-signature", "x-oss-signature"),
        *("signature", "sig", "temp_url_sig", "token", "access_token", "auth", "authorization"),
        *("apikey", "api_key", "api-key", "password", "passwd", "secret"),
    }
)
"""Parameters of a query, lower case, whose values let in whoever has them."""


class Secrets(Value, kw_only=True):
    """URLs as they were given, by the index of their input or output."""

    inputs: Mapping[int, str] = {}
    outputs: Mapping[int, str] = {}

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outputs)


def hidden(url: str) -> str:
    """
    The URL without a password, and without the values that sign a web address.

    >>> hidden("ftp://me:secret@host/a"), hidden("https://h/a?x=1&Sig=abc"), hidden("s3://b/a?b@c")
    ('ftp://me@host/a', 'https://h/a?x=1&Sig=***', 's3://b/a?b@c')
    """
    if "@" not in url and "?" not in url:
        return url
    if "://" not in url:
        return url
    found = parted(url)
    if not found.has_query:
        return found.shown
    shown, asked, query = found.shown.partition("?")
    return f"{shown}{asked}{'&'.join(map(_unsigned, query.split('&')))}"


NOTHING: Final = Secrets()


def secrets_of(spec: Spec) -> Secrets:
    files: tuple[Input | Output, ...] = (*spec.inputs, *spec.outputs)
    together = "".join([one.url for one in files])
    if "@" not in together and "?" not in together:
        return NOTHING
    return Secrets(
        inputs=_telling(one.url for one in spec.inputs),
        outputs=_telling(one.url for one in spec.outputs),
    )


def without(spec: S, secrets: Secrets) -> S:
    """The spec as it is shown; itself where it has nothing to hide."""
    if not secrets:
        return spec
    inputs = _with(spec.inputs, {at: hidden(url) for at, url in secrets.inputs.items()})
    outputs = _with(spec.outputs, {at: hidden(url) for at, url in secrets.outputs.items()})
    return replace(spec, inputs=inputs, outputs=outputs)


def whole(spec: S, secrets: Secrets) -> S:
    """The spec as it was given."""
    inputs, outputs = _with(spec.inputs, secrets.inputs), _with(spec.outputs, secrets.outputs)
    return replace(spec, inputs=inputs, outputs=outputs)


def _unsigned(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}{equals}{HIDDEN}" if equals and unquote(name).lower() in SIGNS else pair


def _telling(urls: Iterable[str]) -> Urls:
    return {at: url for at, url in enumerate(urls) if hidden(url) != url}


def _with(files: tuple[F, ...], urls: Urls) -> tuple[F, ...]:
    if not urls:
        return files
    return tuple(replace(one, url=urls[at]) if at in urls else one for at, one in enumerate(files))
