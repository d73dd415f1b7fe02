"""What can be known when a task is created is said then, and not when it runs."""

from pathlib import PurePosixPath

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from funnel.core.error import Invalid
from funnel.core.path import parts
from funnel.core.places import SEALED, is_of_kernel
from funnel.core.plan import make_plan, with_workdir
from funnel.core.task import Executor, FileType, Input, Output, Spec
from funnel.core.validate import check

ROOT = PurePosixPath("/jobs/task/1/root")
NAMES = st.sampled_from(["a", "b", "c", "etc", "usr", "lib", "proc", "dev", "var", "tmp", ".", ""])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
PATTERNS = st.lists(NAMES | st.just("*"), min_size=1, max_size=3).map(
    lambda names: "/" + "/".join(names)
)
KINDS = st.sampled_from(FileType)
STEP = st.builds(
    Executor,
    image=st.just("alpine"),
    command=st.just(("true",)),
    workdir=PATHS,
    stdin=PATHS,
    stdout=PATHS,
    stderr=PATHS,
)
FETCHED = st.builds(Input, path=PATHS, url=st.just("/data"), type=KINDS)
GIVEN = st.builds(Input, path=PATHS, content=st.just("x"))
STORED = st.builds(Output, path=PATTERNS, url=st.just("/data"), type=KINDS)
TASKS = st.builds(
    Spec,
    executors=st.tuples(STEP),
    inputs=st.lists(FETCHED | GIVEN, max_size=2).map(tuple),
    outputs=st.lists(STORED, max_size=1).map(tuple),
    volumes=st.lists(PATHS, max_size=1).map(tuple),
)


def is_accepted(spec: Spec) -> bool:
    try:
        check(spec)
    except Invalid:
        return False
    return True


@given(TASKS.filter(is_accepted), st.sets(st.integers(0, 1)), st.sets(st.integers(0, 1)))
@settings(max_examples=500)
def test_a_task_that_was_taken_can_be_planned(
    spec: Spec, local: set[int], shared: set[int]
) -> None:
    remote = {index for index, one in enumerate(spec.inputs) if not one.content}
    in_place = {index: f"/data/{index}" for index in (local | shared) & remote}
    plan = make_plan(spec, ROOT, in_place, shared=frozenset(shared & in_place.keys()))
    plan = with_workdir(plan, ROOT, spec.executors[0].workdir)
    for mount in plan.mounts:
        assert parts(mount.target) not in SEALED
        assert not is_of_kernel(parts(mount.target)) or parts(mount.target)[:2] == ("dev", "shm")


@given(TASKS)
def test_a_task_that_cannot_be_planned_is_not_taken(spec: Spec) -> None:
    assume(spec.inputs or spec.outputs or spec.volumes)
    try:
        make_plan(spec, ROOT, {})
    except Invalid:
        assert not is_accepted(spec)
