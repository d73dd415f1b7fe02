import re

from hypothesis import given
from hypothesis import strategies as st

from funnel.core.xid import ALPHABET, LENGTH, xid

PARTS = st.fixed_dictionaries(
    {
        "seconds": st.integers(0, 2**32 - 1),
        "machine": st.integers(0, 2**24 - 1),
        "process": st.integers(0, 2**16 - 1),
        "count": st.integers(0, 2**24 - 1),
    }
)


@given(PARTS)
def test_an_id_has_its_form(parts: dict[str, int]) -> None:
    assert re.fullmatch(f"[{ALPHABET}]{{{LENGTH}}}", xid(**parts))


@given(PARTS, PARTS)
def test_ids_sort_as_their_parts_do(one: dict[str, int], other: dict[str, int]) -> None:
    assert (xid(**one) < xid(**other)) == (in_order(one) < in_order(other))


def in_order(parts: dict[str, int]) -> list[int]:
    return [parts[name] for name in ("seconds", "machine", "process", "count")]


@given(PARTS)
def test_what_is_too_large_wraps(parts: dict[str, int]) -> None:
    wrapped = {
        "seconds": parts["seconds"] + 2**32,
        "machine": parts["machine"] + 2**24,
        "process": parts["process"] + 2**16,
        "count": parts["count"] + 2**24,
    }
    assert xid(**wrapped) == xid(**parts)


def test_an_id_is_read_as_the_reference_reads_it() -> None:
    """The example of the xid specification: 9m4e2mr0ui3e8a215n4g."""
    machine, process, count = 0x60F486, 0xE428, 0x412DC9
    assert xid(seconds=0x4D88E15B, machine=machine, process=process, count=count) == (
        "9m4e2mr0ui3e8a215n4g"
    )
