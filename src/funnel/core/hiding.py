"""URLs that give access: what is kept and shown of a task, and what its worker gets beside it."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, TypeVar
from urllib.parse import unquote

from msgspec.structs import replace

from funnel.core.task import Input, Output, Spec
from funnel.core.url import ASKED, suspected
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
"""Parameters of a query or a fragment, lower case, whose values let in whoever has them."""
ALL_SIGNS: Final = ("@", "?", "#")
"""One of them is in each URL that has something to hide."""
_NAME: Final = re.compile(r"([^=?#;/!]*)=")


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
    >>> hidden("https://h/a#part"), hidden("https://h/a#access_token=abc")
    ('https://h/a#part', 'https://h/a#access_token=***')
    """
    if not _may_tell(url) or "://" not in url:
        return url
    found = suspected(url)
    asked = ASKED.search(found.shown) if found.has_query else None
    if not asked:
        return found.shown
    shown, pairs = found.shown[: asked.end()], found.shown[asked.end() :].split("&")
    return f"{shown}{'&'.join(map(_unsigned, pairs))}"


NOTHING: Final = Secrets()


def secrets_of(spec: Spec) -> Secrets:
    files: tuple[Input | Output, ...] = (*spec.inputs, *spec.outputs)
    together = "".join([one.url for one in files])
    if not _may_tell(together):
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


def _may_tell(text: str) -> bool:
    return any(one in text for one in ALL_SIGNS)


def _unsigned(pair: str) -> str:
    """
    Up to the first name of a secret; what seems to begin after its value may be a part of it.

    >>> _unsigned("x=1#/access_token=abc;d"), _unsigned("x=sig")
    ('x=1#/access_token=***', 'x=sig')
    """
    for found in _NAME.finditer(pair):
        if unquote(found[1]).lower() in SIGNS:
            return f"{pair[: found.end()]}{HIDDEN}"
    return pair


def _telling(urls: Iterable[str]) -> Urls:
    return {at: url for at, url in enumerate(urls) if hidden(url) != url}


def _with(files: tuple[F, ...], urls: Urls) -> tuple[F, ...]:
    if not urls:
        return files
    return tuple(replace(one, url=urls[at]) if at in urls else one for at, one in enumerate(files))
