"""What a server is that others than this machine may reach: a row for each combination."""

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from funnel.config.exposure import refuse_exposed
from funnel.config.sections import TLS, Server
from funnel.core.error import Invalid

FINE, ACCOUNTS, PLAIN = "", "there are no accounts", "in plain text"

# With accounts, TLS, OpenAccess and PlainText: what is wrong at an address that others reach.
TABLE = {
    "....": ACCOUNTS,
    "...P": ACCOUNTS,
    "..O.": FINE,
    "..OP": FINE,
    ".T..": ACCOUNTS,
    ".T.P": ACCOUNTS,
    ".TO.": FINE,
    ".TOP": FINE,
    "A...": PLAIN,
    "A..P": FINE,
    "A.O.": PLAIN,
    "A.OP": FINE,
    "AT..": FINE,
    "AT.P": FINE,
    "ATO.": FINE,
    "ATOP": FINE,
}
HERE = (["127.0.0.1"], ["::1"], ["127.0.0.1", "::1"], ["127.8.9.10"])
ELSEWHERE = (
    [str(IPv4Address(0))],
    ["::"],
    ["127.0.0.1", "192.168.1.7"],
    ["2001:db8::1"],
    ["fe80::1%eth0"],
)


def rows() -> Iterator[tuple[list[str], str, str]]:
    for addresses in HERE:
        yield from ((addresses, given, FINE) for given in TABLE)
    for addresses in ELSEWHERE:
        yield from ((addresses, given, wrong) for given, wrong in TABLE.items())


@pytest.mark.parametrize(("addresses", "given", "wrong"), list(rows()))
def test_a_server_that_others_reach_is_as_safe_as_somebody_said(
    addresses: list[str], given: str, wrong: str
) -> None:
    server = Server(
        tls=TLS(cert_file="a" if "T" in given else ""),
        open_access="O" in given,
        plain_text="P" in given,
    )
    if not wrong:
        refuse_exposed(server, addresses, has_accounts="A" in given)
        return
    with pytest.raises(Invalid, match=wrong) as refused:
        refuse_exposed(server, addresses, has_accounts="A" in given)
    assert "Server." in str(refused.value)
    assert addresses[-1] in str(refused.value)


def test_every_combination_has_a_row() -> None:
    assert len(TABLE) == 2**4
    assert len(set(map(str, rows()))) == 2**4 * (len(HERE) + len(ELSEWHERE))
