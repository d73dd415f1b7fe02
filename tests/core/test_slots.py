from hypothesis import given
from hypothesis import strategies as st

from funnel.core.slots import GB, Slot, Waiting, choose, refusal, total
from funnel.core.task import TaskId

MACHINE = Slot(4.0, 8 * GB)
LEAST = Slot(0.5, 0)

slots = st.builds(
    Slot, st.sampled_from([0.5, 1.0, 2.0, 4.0]), st.integers(0, 8).map(lambda gb: gb * GB)
)


def waiting(*wants: Slot) -> tuple[Waiting, ...]:
    return tuple(Waiting(TaskId(str(n)), 1, one) for n, one in enumerate(wants))


def ids(of: tuple[Waiting, ...]) -> list[str]:
    return [one.task_id for one in of]


def chosen_of(
    queue: tuple[Waiting, ...], free: Slot, most: int = 10
) -> tuple[tuple[Waiting, ...], tuple[Waiting, ...]]:
    """Those that start, and all that wait on."""
    chosen, left = choose(queue, free, least=LEAST, most_passes=most)
    return chosen, (*left, *queue[len(chosen) + len(left) :])


def test_they_start_in_order_while_there_is_room() -> None:
    chosen, left = chosen_of(waiting(*[Slot(2.0, 0)] * 3), MACHINE)
    assert (ids(chosen), ids(left)) == (["0", "1"], ["2"])


def test_a_long_queue_is_looked_at_no_further_than_there_is_room() -> None:
    queue = iter(waiting(*[Slot(2.0, 0)] * 1000))
    chosen, left = choose(queue, MACHINE, least=LEAST, most_passes=10)
    assert (ids(chosen), left, len(list(queue))) == (["0", "1"], (), 997)


def test_a_smaller_one_may_pass() -> None:
    queue = waiting(Slot(3.0, 0), Slot(4.0, 0), Slot(1.0, 0))
    chosen, left = chosen_of(queue, MACHINE)
    assert (ids(chosen), ids(left)) == (["0", "2"], ["1"])
    assert left[0].passed == 1


def test_memory_counts_as_well() -> None:
    chosen, _ = chosen_of(waiting(Slot(1.0, 5 * GB), Slot(1.0, 5 * GB)), MACHINE)
    assert ids(chosen) == ["0"]


def test_a_request_that_can_never_fit_says_why() -> None:
    assert refusal(Slot(4.0, 8 * GB), MACHINE) == ""
    assert refusal(Slot(5.0, 0), MACHINE) == "the task asks for 5 CPUs, and this machine has 4"
    assert "9.0 GB of memory, and this machine has 8.0 GB" in refusal(Slot(1.0, 9 * GB), MACHINE)


@given(st.lists(slots, max_size=20), slots, st.integers(0, 5))
def test_nothing_is_lost_and_no_more_is_given_than_there_is(
    wants: list[Slot], free: Slot, most: int
) -> None:
    queue = waiting(*wants)
    chosen, left = chosen_of(queue, free, most)
    assert sorted(ids(chosen) + ids(left), key=int) == ids(queue)
    assert ids(left) == sorted(ids(left), key=int)
    held = total([one.wants for one in chosen])
    assert held.cpus <= free.cpus
    assert held.memory_bytes <= free.memory_bytes
    assert all(one.passed <= most for one in left)


@given(st.integers(1, 4))
def test_nobody_starves(most: int) -> None:
    """However many small ones come, the large one starts after a bounded number of them."""
    queue, running, started = waiting(Slot(4.0, 0)), [Slot(1.0, 0)], 0
    for n in range(1, 50):
        queue = (*queue, Waiting(TaskId(str(n)), 1, Slot(1.0, 0)))
        chosen, queue = chosen_of(queue, MACHINE.less(total(running)), most)
        if "0" in ids(chosen):
            break
        started += len(chosen)
        running = [*running, *(one.wants for one in chosen)][1:]
    assert started <= most
