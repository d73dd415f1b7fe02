import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.error import Invalid, Problem
from funnel.core.task import Executor, FileType, Input, Output, Resources, Spec
from funnel.core.validate import check
from funnel.wire.json import read_spec

STEP: dict[str, object] = {"image": "alpine", "command": ["true"]}


def body(**given: object) -> bytes:
    return json.dumps({"executors": [STEP], **given}).encode()


def refused(sent: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_spec(sent)
    return caught.value


def test_a_whole_task_is_read() -> None:
    sent = body(
        name="n",
        description="d",
        inputs=[{"path": "/i", "url": "s3://b/i", "type": "DIRECTORY", "streamable": True}],
        outputs=[{"path": "/o/*", "url": "s3://b/o", "path_prefix": "/o"}],
        resources={"cpu_cores": 2, "ram_gb": 1, "zones": ["a"], "backend_parameters": {"x": "y"}},
        volumes=["/v"],
        tags={"a": "b"},
    )
    assert read_spec(sent) == Spec(
        name="n",
        description="d",
        executors=(Executor(image="alpine", command=("true",)),),
        inputs=(Input(path="/i", url="s3://b/i", type=FileType.DIRECTORY, streamable=True),),
        outputs=(Output(path="/o/*", url="s3://b/o", path_prefix="/o"),),
        resources=Resources(cpu_cores=2, ram_gb=1, zones=("a",), backend_parameters={"x": "y"}),
        volumes=("/v",),
        tags={"a": "b"},
    )


@pytest.mark.parametrize("nothing", [b"", b" \n", b"null", b"{}"])
def test_no_body_is_a_task_without_anything(nothing: bytes) -> None:
    assert read_spec(nothing) == Spec()


def test_what_the_server_makes_is_ignored_whatever_it_is() -> None:
    sent = body(id=7, state="NONSENSE", logs=[{"x": None}], creation_time={}, creationTime="y")
    assert read_spec(sent) == read_spec(body())


def test_null_is_absent_everywhere() -> None:
    full = read_spec(
        body(
            name=None,
            tags={"kept": "", "gone": None},
            volumes=None,
            inputs=[{"path": "/i", "content": "x", "type": None, "url": None, "streamable": None}],
            resources={"cpu_cores": None, "zones": None, "backend_parameters": {"a": None}},
            executors=[{**STEP, "env": {"A": None, "B": "b"}, "ignore_error": None}],
        )
    )
    assert full == Spec(
        executors=(Executor(image="alpine", command=("true",), env={"B": "b"}),),
        inputs=(Input(path="/i", content="x"),),
        tags={"kept": ""},
    )


def test_tags_that_are_all_null_are_no_tags() -> None:
    assert read_spec(body(tags={"a": None})).tags == {}


def test_camel_case_enums_by_number_and_integers_as_text_are_taken() -> None:
    sent = body(
        resources={"cpuCores": "4", "ramGb": 1.5, "backendParametersStrict": True},
        outputs=[{"path": "/o", "url": "u", "pathPrefix": "/", "type": 1}],
        inputs=[{"path": "/i", "url": "u", "type": 0}],
    )
    spec = read_spec(sent)
    assert spec.resources == Resources(cpu_cores=4, ram_gb=1.5, backend_parameters_strict=True)
    assert spec.outputs[0] == Output(path="/o", url="u", path_prefix="/", type=FileType.DIRECTORY)
    assert spec.inputs[0].type is FileType.FILE
    assert read_spec(body(resources={"cpu_cores": 2.0})).resources.cpu_cores == 2


def test_what_is_required_and_absent_is_left_to_the_validation() -> None:
    spec = read_spec(b'{"executors": [{}], "inputs": [{}], "outputs": [{"path": null}]}')
    with pytest.raises(Invalid, match=r"Image: required(?s:.*)Outputs\[0\].Path: required"):
        check(spec)


@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        (body(inptus=[]), "inptus", "unknown field, did you mean inputs?"),
        (body(zzz=1), "zzz", "unknown field"),
        (
            body(resources={"cup_cores": 1}),
            "resources.cup_cores",
            "unknown field, did you mean cpu_cores?",
        ),
        (
            body(executors=[{**STEP, "evn": None}]),
            "executors[0].evn",
            "unknown field, did you mean env?",
        ),
        (
            body(inputs=[{"path": "/", "urll": ""}]),
            "inputs[0].urll",
            "unknown field, did you mean url?",
        ),
        (body(name=1), "name", "expected a string, got an integer"),
        (body(name=["a"]), "name", "expected a string, got an array"),
        (body(executors={}), "executors", "expected an array, got an object"),
        (body(executors=[None]), "executors[0]", "expected an object, got null"),
        (body(executors=["x"]), "executors[0]", "expected an object, got a string"),
        (
            body(executors=[{**STEP, "command": "true"}]),
            "executors[0].command",
            "expected an array, got a string",
        ),
        (
            body(executors=[{**STEP, "command": ["a", None]}]),
            "executors[0].command[1]",
            "expected a string, got null",
        ),
        (
            body(executors=[{**STEP, "ignore_error": "true"}]),
            "executors[0].ignore_error",
            "expected a boolean, got a string",
        ),
        (body(tags=[]), "tags", "expected an object, got an array"),
        (body(tags={"a b": 1}), 'tags["a b"]', "expected a string, got an integer"),
        (body(resources=5), "resources", "expected an object, got an integer"),
        (
            body(resources={"cpu_cores": True}),
            "resources.cpu_cores",
            "expected an integer, got a boolean",
        ),
        (
            body(resources={"cpu_cores": 1.5}),
            "resources.cpu_cores",
            "expected an integer, got a number",
        ),
        (
            body(resources={"cpu_cores": "1.5"}),
            "resources.cpu_cores",
            "expected an integer, got a string",
        ),
        (
            body(resources={"cpu_cores": "9" * 18}),
            "resources.cpu_cores",
            "must be an integer of at most 32 bits",
        ),
        (
            body(resources={"ram_gb": True}),
            "resources.ram_gb",
            "expected a number, got a boolean",
        ),
        (
            body(inputs=[{"path": "/a", "type": "LINK"}]),
            "inputs[0].type",
            "expected FILE or DIRECTORY, got 'LINK'",
        ),
        (
            body(inputs=[{"path": "/a", "type": 2}]),
            "inputs[0].type",
            "expected FILE or DIRECTORY, got an integer",
        ),
        (
            body(inputs=[{"path": "/a", "type": True}]),
            "inputs[0].type",
            "expected FILE or DIRECTORY, got a boolean",
        ),
        (b'{"name": "a", "name": "b"}', "name", "given twice"),
        (b'{"executors": [{"image": "a", "image": "a"}]}', "executors[0].image", "given twice"),
        (b'{"tags": {"a": "1", "a": "2"}}', "tags.a", "given twice"),
        (b'{"name": "a", "name": "\\u003a"}', "name", "given twice"),
        (b'{"name": ":", "name": "::"}', "name", "given twice"),
        (b'{"name" : "a:", "name":"b"}', "name", "given twice"),
        (
            b'{"resources": {"cpu_cores": 1, "cpuCores": 1}}',
            "resources.cpuCores",
            "given twice",
        ),
        (b'{"name": "\\ud800"}', "name", "half of a surrogate pair is no character"),
        (b'{"name": "\\udc00\\ud800"}', "name", "half of a surrogate pair is no character"),
        (b'{"name": NaN}', "name", "expected a string, got a number"),
        (b'{"name": ' + b"1" * 5000 + b"}", "name", "expected a string, got a number"),
        (
            b'{"resources": {"cpu_cores": ' + b"1" * 5000 + b"}}",
            "resources.cpu_cores",
            "expected an integer, got a number",
        ),
        (
            b'{"resources": {"cpu_cores": 12345678901234567890}}',
            "resources.cpu_cores",
            "must be an integer of at most 32 bits",
        ),
        (
            b'{"resources": {"cpu_cores": 2147483648}}',
            "resources.cpu_cores",
            "must be an integer of at most 32 bits",
        ),
        (b"[]", "", "expected an object, got an array"),
        (b'"task"', "", "expected an object, got a string"),
    ],
)
def test_each_wrong_field_is_named(sent: bytes, field: str, message: str) -> None:
    error = refused(sent)
    assert error.problems == (Problem(field, message),)
    assert str(error) == "not a task: " + (f"{field}: {message}" if field else message)


def test_all_wrong_fields_are_named_at_once() -> None:
    error = refused(body(name=1, nmae=2, tags={"\ud800": 3}))
    assert [one.field for one in error.problems] == ["name", "nmae", "tags", 'tags["\ufffd"]']


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused_by_the_validation(number: str) -> None:
    spec = read_spec(b'{"executors": [], "resources": {"ram_gb": ' + number.encode() + b"}}")
    with pytest.raises(Invalid, match=r"Resources\.RamGb: must be a finite number"):
        check(spec)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"{", "not a task: Expecting property name enclosed in double quotes"),
        (b'{"name": "a"}}', "not a task: Extra data: line 1 column 14"),
        (b"not json", "not a task: Expecting value: line 1 column 1"),
        (b'{"name": "a\nb"}', "not a task: Invalid control character at: line 1 column 12"),
        (b'{"name": "", "name": ""', "not a task: Expecting ',' delimiter"),
        (b"\xff", "not a task: 'utf-8' codec can't decode byte 0xff in position 0"),
        (b"\xef\xbb\xbf{}", "not a task: Expecting value: line 1 column 1"),
        ('{"name": "é"}'.encode("utf-16"), "not a task: 'utf-8' codec can't decode"),
        (b"[" * 100_000, "not a task: nested too deeply"),
        (b'{"logs":' * 100_000, "not a task: nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "not a task: nested too deeply"),
    ],
)
def test_what_is_no_json_is_told_where(sent: bytes, message: str) -> None:
    assert str(refused(sent)).startswith(message)


def test_characters_beyond_ascii_are_kept() -> None:
    assert read_spec(b'{"name": "\\ud83d\\ude00 \\u00e9"}').name == "😀 é"
    assert read_spec('{"name": "😀 é"}'.encode()).name == "😀 é"


NAMES = (
    *("name", "executors", "image", "command", "env", "tags", "inputs", "path", "type"),
    *("resources", "cpu_cores", "cpuCores", "ram_gb", "volumes", "id", "x"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused(anything: object) -> None:
    verdict(json.dumps(anything).encode())


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(anything: bytes) -> None:
    verdict(anything)


def verdict(sent: bytes) -> Spec | None:
    try:
        return read_spec(sent)
    except Invalid:
        return None


ODD = st.text(st.sampled_from('a:"\\u003 {},é\n'), max_size=6)


@given(
    first=ODD,
    second=ODD,
    tag=ODD,
    ascii_only=st.booleans(),
    between=st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : ")]),
)
def test_no_text_hides_a_name_that_stands_twice(
    first: str, second: str, tag: str, *, ascii_only: bool, between: tuple[str, str]
) -> None:
    def written(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=between)

    comma, colon = between
    once = written({"description": first, "tags": {tag: second}})
    assert read_spec(once.encode()) == Spec(description=first, tags={tag: second})
    twice = once[:-1] + f"{comma}{written('description')}{colon}{written(second)}}}"
    assert refused(twice.encode()).problems == (Problem("description", "given twice"),)
    names = f"{written(tag)}{colon}{written(first)}"
    twice = f'{{"tags"{colon}{{{names}{comma}{names}}}}}'
    assert [one.message for one in refused(twice.encode()).problems] == ["given twice"]


@given(
    types=st.lists(st.sampled_from([{}, {"type": "FILE"}, {"type": "DIRECTORY"}]), max_size=4),
    defaults=st.sampled_from([{}, {"name": ""}, {"tags": {}}, {"tags": {"type": "type"}}]),
    strange=st.integers(0, 4),
    where=st.sampled_from(["", "executors", "inputs", "resources"]),
)
def test_neither_types_nor_defaults_hide_a_name_that_is_not_ours(
    types: list[dict[str, str]], defaults: dict[str, object], strange: int, where: str
) -> None:
    """A type is written where it was not given, and a default is not where it was."""
    unknown = {f"strange{number}": number for number in range(strange)}
    inputs: list[dict[str, object]] = [{"path": "/i", "url": "s3://b/i", **one} for one in types]
    task: dict[str, object] = {"executors": [dict(STEP)], "inputs": inputs, **defaults}
    at = {
        "": task,
        "executors": {**STEP, **unknown},
        "inputs": {"path": "/i", **unknown},
        "resources": unknown,
    }[where]
    if where == "":
        task |= unknown
    else:
        task[where] = at if where == "resources" else [at]
    sent = json.dumps(task).encode()
    if strange:
        fields = [problem.field for problem in refused(sent).problems]
        assert len([field for field in fields if "strange" in field]) == strange
    else:
        found = read_spec(sent)
        assert [one.type for one in found.inputs] == [
            one.get("type", "FILE") for one in (types if where != "inputs" else [{}])
        ]
