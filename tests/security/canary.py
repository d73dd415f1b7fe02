"""Secrets that are looked for wherever they must not be."""

import base64
import secrets
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 32


def canary() -> str:
    """A secret that nothing else contains."""
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))


def spellings(secret: bytes) -> Iterator[bytes]:
    """How it may be written: as it is, or as a part of something that is encoded."""
    yield from (secret, secret[::-1])
    yield "".join(f"%{byte:02x}" for byte in secret).encode()
    yield "".join(f"%{byte:02X}" for byte in secret).encode()
    yield quote_from_bytes(secret).encode()
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret).rstrip(b"=")
        # The first characters hold bits of what is before, the last ones bits of what follows.
        middle = encoded[4 if shift else 0 : -2]
        yield middle
        yield middle.replace(b"+", b"-").replace(b"/", b"_")


class Lookout:
    """Knows secrets by what they are for, and says which of them are in something."""

    def __init__(self) -> None:
        self._spellings: dict[bytes, str] = {}

    def watch(self, what: str, secret: str | bytes) -> None:
        text = secret.encode() if isinstance(secret, str) else secret
        self._spellings |= dict.fromkeys(spellings(text), what)

    def new(self, what: str) -> str:
        made = canary()
        self.watch(what, made)
        return made

    def seen(self, text: str | bytes) -> set[str]:
        content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        return {what for spelling, what in self._spellings.items() if spelling in content}


class Witness:
    """What was seen, by where that was."""

    def __init__(self, lookout: Lookout) -> None:
        self.lookout = lookout
        self.evidence: dict[str, list[bytes]] = {}

    def saw(self, what: str, *contents: str | bytes) -> None:
        encoded = [one.encode() if isinstance(one, str) else one for one in contents]
        self.evidence.setdefault(what, []).extend(encoded)

    def hits(self) -> list[tuple[str, str]]:
        """Secrets, and where they are."""
        return sorted(
            {
                (what, secret)
                for what, contents in self.evidence.items()
                for content in contents
                for secret in self.lookout.seen(content)
            }
        )
