from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.limits import LIMITS, Limits
from funnel.core.plain import is_plain
from funnel.core.task import Executor, Input, Output, Resources, Spec
from funnel.core.validate import check

ALL_RULES = Limits()
"""The same limits, yet another object, for which nothing is taken at a glance."""

STEP = Executor(image="alpine", command=("true",))
ORDINARY = Spec(
    name="align sample",
    description="bwa mem, then sort",
    executors=(
        Executor(
            image="quay.io/biocontainers/bwa:0.7.17",
            command=("bwa", "mem", "-t", "8", "/ref/hg38.fa"),
            workdir="/vol",
            stdout="/out/aln.sam",
            env={"LC_ALL": "C"},
        ),
    ),
    inputs=(Input(url="s3://bucket/run7/R1.fastq.gz", path="/data/R1.fastq.gz"),),
    outputs=(Output(url="/share/out/sample.bam", path="/out/aln.bam"),),
    resources=Resources(cpu_cores=8, ram_gb=16.0),
    tags={"workflow": "wgs-7"},
)

TEXTS = st.sampled_from(["", "a", "a b", "é", "a\0", "x\n", "y" * 251, "z" * 5000])
WORDS = st.sampled_from(
    ["", "a", "A", "var", "etc", "proc", "usr", "..", ".", "*", "a.b", "b" * 256, " ", "[", "\n"]
)
PATHS = st.lists(WORDS, max_size=4).map(lambda parts: "/" + "/".join(parts)) | TEXTS
URLS = st.builds(
    "{}{}{}".format, st.sampled_from(["s3:", "file:", "FILE:", "", "x", "/"]), WORDS, PATHS
)
IMAGES = st.from_regex(r"[a-zA-Z0-9:/@._-]{0,24}", fullmatch=True) | st.sampled_from(
    ["alpine", "a:1", "h:5000/a", "A/b", "a" * 256, "a/b" * 90 + ":v"]
)
EXECUTORS = st.builds(
    Executor,
    image=IMAGES,
    command=st.lists(TEXTS, max_size=2).map(tuple),
    workdir=st.just("") | PATHS,
    stdin=st.just("") | PATHS,
    stdout=st.just("") | PATHS,
    stderr=st.just("") | PATHS,
    env=st.dictionaries(WORDS, TEXTS, max_size=1),
)
INPUTS = st.builds(Input, url=URLS, path=PATHS, content=st.just("") | TEXTS)
OUTPUTS = st.builds(Output, url=URLS, path=PATHS, path_prefix=st.just("") | PATHS)
RESOURCES = st.builds(Resources, cpu_cores=st.integers(-1, 2**40), ram_gb=st.floats())


def one(of: st.SearchStrategy[Executor]) -> st.SearchStrategy[Spec]:
    return of.map(lambda executor: replace(ORDINARY, executors=(executor,)))


SPECS = st.one_of(
    one(EXECUTORS),
    st.builds(replace, st.just(ORDINARY), name=TEXTS, description=TEXTS),
    st.builds(replace, st.just(ORDINARY), inputs=st.tuples(INPUTS) | st.tuples(INPUTS, INPUTS)),
    st.builds(replace, st.just(ORDINARY), outputs=st.tuples(OUTPUTS) | st.tuples(OUTPUTS, OUTPUTS)),
    st.builds(replace, st.just(ORDINARY), volumes=st.tuples(PATHS)),
    st.builds(replace, st.just(ORDINARY), resources=RESOURCES),
    st.builds(replace, st.just(ORDINARY), tags=st.dictionaries(TEXTS, TEXTS, max_size=2)),
)


@given(SPECS)
def test_what_is_plain_breaks_no_rule(spec: Spec) -> None:
    if is_plain(spec):
        check(spec, ALL_RULES)


def test_an_ordinary_task_is_plain() -> None:
    assert ALL_RULES == LIMITS
    assert is_plain(ORDINARY)
    assert is_plain(Spec(executors=(STEP,)))


def test_what_leads_anywhere_else_is_looked_at() -> None:
    for spec in (
        Spec(),
        replace(ORDINARY, inputs=ORDINARY.inputs * 2),
        replace(ORDINARY, inputs=(Input(content="x", path="/a"),)),
        replace(ORDINARY, outputs=ORDINARY.outputs * 2),
        replace(ORDINARY, outputs=(Output(url="/a", path="/out/*"),)),
        replace(ORDINARY, inputs=(Input(url="file:///a", path="/a"),)),
        replace(ORDINARY, inputs=(Input(url="/a", path="/etc/passwd"),)),
        replace(ORDINARY, inputs=(Input(url="/a", path="/var/lib/x"),)),
        replace(ORDINARY, executors=(replace(STEP, workdir="/proc/self"),)),
        replace(ORDINARY, executors=(STEP,) * 101),
    ):
        assert not is_plain(spec)
