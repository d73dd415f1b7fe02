"""Passwords are right or wrong, and nothing else is to be learnt from asking."""

import asyncio
import threading

import pytest

from funnel.auth.passwords import EACH, WAITING, Passwords, hashed, is_hash, matches
from funnel.core.error import Busy, Invalid

PIKE = hashed("pike")


class Recorded:
    """The real comparison, and which hashes were worked out."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def __call__(self, known: str, password: str) -> bool:
        self.hashes.append(known)
        return matches(known, password)


def test_a_hash_holds_its_password_and_is_another_each_time() -> None:
    assert is_hash(PIKE)
    assert matches(PIKE, "pike")
    assert not matches(PIKE, "Pike")
    assert hashed("pike") != PIKE


def test_no_password_has_no_hash() -> None:
    with pytest.raises(Invalid, match="empty"):
        hashed("")


@pytest.mark.parametrize("known", [{"ann": PIKE}, {"ann": "pike"}, {"ann": PIKE, "bob": "carp"}])
async def test_only_the_whole_password_of_the_user_is_right(known: dict[str, str]) -> None:
    passwords = Passwords(known)
    assert await passwords.are("ann", "pike")
    assert await passwords.are("ann", "pike")
    for user, password in (
        ("ann", "Pike"),
        ("ann", "pik"),
        ("ann", "pike "),
        ("ann", ""),
        ("ann", PIKE),
        ("Ann", "pike"),
        ("", "pike"),
        ("nobody", "pike"),
        ("bob", "pike"),
        ("an", "npike"),
        ("ann:", "pike"),
    ):
        assert not await passwords.are(user, password), (user, password)


async def test_an_unknown_user_takes_the_same_work_as_a_wrong_password() -> None:
    work = Recorded()
    passwords = Passwords({"ann": PIKE, "bob": "carp"}, work)
    for user in ("ann", "bob", "nobody"):
        assert not await passwords.are(user, "wrong")
    assert work.hashes == [PIKE] * 3


async def test_what_is_right_for_the_one_that_stands_in_is_not_for_who_is_unknown() -> None:
    passwords = Passwords({"ann": PIKE})
    assert not await passwords.are("nobody", "pike")
    assert not await passwords.are("nobody", "pike")


async def test_a_right_password_is_hashed_once_and_a_wrong_one_each_time() -> None:
    work = Recorded()
    passwords = Passwords({"ann": PIKE}, work)
    for _ in range(3):
        assert await passwords.are("ann", "pike")
    assert len(work.hashes) == 1
    for _ in range(3):
        assert not await passwords.are("ann", "carp")
    assert len(work.hashes) == 4


async def test_no_password_is_kept_as_it_is() -> None:
    passwords = Passwords({"ann": PIKE, "bob": "swordfish"})
    await passwords.are("ann", "pike")
    kept = repr(vars(passwords))
    assert "swordfish" not in kept
    assert "'pike'" not in kept


async def test_hashing_keeps_nobody_from_working_and_is_done_once_for_all_who_wait() -> None:
    go = threading.Event()
    work = Recorded()

    def slowly(known: str, password: str) -> bool:
        assert go.wait(30)
        return work(known, password)

    passwords = Passwords({"ann": PIKE}, slowly)
    asked = [asyncio.create_task(passwords.are("ann", "pike")) for _ in range(20)]
    await asyncio.sleep(0)
    # The loop is ours meanwhile.
    go.set()
    assert await asyncio.gather(*asked) == [True] * 20
    assert len(work.hashes) == 1


async def test_who_comes_while_too_many_wait_is_sent_away() -> None:
    go = threading.Event()

    def slowly(_known: str, _password: str) -> bool:
        return not go.wait(30)

    passwords = Passwords({"ann": PIKE}, slowly)
    asked = [
        asyncio.create_task(passwords.are("ann", str(number), f"192.0.2.{number}"))
        for number in range(WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.are("ann", "one more")
    go.set()
    assert await asyncio.gather(*asked) == [False] * WAITING
    assert not await passwords.are("ann", "one more")


async def test_who_guesses_at_one_address_keeps_no_other_from_its_turn() -> None:
    go = threading.Event()

    def slowly(known: str, password: str) -> bool:
        return go.wait(30) and matches(known, password)

    passwords = Passwords({"ann": PIKE}, slowly)
    guessed = [
        asyncio.create_task(passwords.are(f"user {number}", "x", f"2001:db8::{number:x}"))
        for number in range(2 * WAITING)
    ]
    right = asyncio.create_task(passwords.are("ann", "pike", "192.0.2.7"))
    await asyncio.sleep(0)
    go.set()
    assert await right
    answers = await asyncio.gather(*guessed, return_exceptions=True)
    assert answers.count(False) == EACH
    assert not await passwords.are("user 1", "x", "2001:db8::1")


async def test_who_does_not_wait_for_the_answer_spoils_it_for_nobody() -> None:
    go = threading.Event()

    def slowly(known: str, password: str) -> bool:
        return go.wait(30) and matches(known, password)

    passwords = Passwords({"ann": PIKE}, slowly)
    first, second = (asyncio.create_task(passwords.are("ann", "pike")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second
