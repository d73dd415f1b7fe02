"""URLs as they may be shown."""


def redacted(url: str) -> str:
    """
    The URL without what gives access: a password, or the query of a signed web address.

    >>> redacted("ftp://me:secret@host/a"), redacted("https://h/a?Signature=x"), redacted("/a?b")
    ('ftp://me@host/a', 'https://h/a?…', '/a?b')
    """
    url = url.encode(errors="backslashreplace").decode()
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    if scheme.lower() in {"http", "https"}:
        rest, asked, _ = rest.partition("?")
        rest += "?…" if asked else ""
    host, slash, path = rest.partition("/")
    user, at, name = host.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{name}{slash}{path}"
