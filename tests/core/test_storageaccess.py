from collections.abc import Iterable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from funnel.core.error import Denied, Invalid
from funnel.core.storageaccess import (
    Rule,
    StorageRules,
    Way,
    demand_all,
    local_path,
    place_of,
    prefix_of,
)
from funnel.core.task import Executor, Input, Output, Spec

NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\%?#*"), min_size=1
).filter(lambda one: one not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SCHEMES = st.sampled_from(("s3", "gs", "swift", "az", "http", "https", "ftp", "sftp", "file"))


def rules(*read: str, users: Iterable[str] = "*", write: Iterable[str] = ()) -> StorageRules:
    return StorageRules(
        (
            Rule(
                users=frozenset(users),
                read=tuple(map(prefix_of, read)),
                write=tuple(map(prefix_of, write)),
            ),
        )
    )


def start(scheme: str, host: str = "lab") -> str:
    return "file://" if scheme == "file" else f"{scheme}://{host}"


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("s3://lab/ann/", "s3://lab/ann/x"),
        ("s3://lab/ann", "s3://lab/ann"),
        ("s3://lab/ann/", "s3://lab/ann/"),
        ("s3://lab", "S3://lab/any/thing"),
        ("s3://minio:9000/lab/ann/", "s3://minio:9000/lab/ann/x"),
        ("s3://lab-*/", "s3://lab-7/x"),
        ("s3://*/", "s3://any/x"),
        ("s3://lab/a%20b/", "s3://lab/a%20b/x"),
        ("https://example.org/a/", "HTTPS://user:pass@Example.ORG.:443/a/x?y=/../#z"),
        ("https://example.org:443/a b/", "https://example.org/a%20b/x"),
        ("https://example.org/%7Eann/", "https://example.org/~ann/x"),
        ("https://*.example.org/", "https://data.example.org/x"),
        ("https://*.example.org:8443/", "https://data.example.org:8443/x"),
        ("https://[2001:db8::1]/", "https://[2001:DB8::1]:443/x"),
        ("ftp://host/pub/", "ftp://ann:secret@host:21/pub/x"),
        ("/data/ann", "file:///data/ann/x"),
        ("file:///data/ann/", "/data//./ann/x"),
        ("/", "/data"),
    ],
)
def test_a_place_covers_itself_and_what_lies_below(prefix: str, url: str) -> None:
    rules(prefix).demand("ann", Way.READ, url)


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("s3://lab/ann/", "s3://lab/anna/x"),
        ("s3://lab/ann/", "s3://lab/"),
        ("s3://lab/ann/", "s3://lab2/ann/x"),
        ("s3://lab/ann/", "s3://lab//ann/x"),
        ("s3://lab/ann/", "s3://lab/ann/../bob/x"),
        ("s3://lab/ann/", "s3://lab/ann/./x"),
        ("s3://lab/ann/", "s3://lab/ann/%2e%2e/bob/x"),
        ("s3://lab/ann/", "s3://lab/ann/%252e%252e/bob/x"),
        ("s3://lab/ann/", "s3://lab/ann%2Fx"),
        ("s3://lab/ann/", "s3://lab/ann%2F..%2Fbob"),
        ("s3://lab/ann/", "s3://lab/ann\\..\\bob"),
        ("s3://lab/ann/", "s3://lab/ANN/x"),
        ("s3://lab/ann/", "s3://minio:9000/lab/ann/x"),
        ("s3://lab/ann/", "gs://lab/ann/x"),
        ("s3://lab-*/", "s3://lab-minio:9000/other/x"),
        ("s3://lab-*/", "s3://lab-x@evil/x"),
        ("https://example.org/a/", "http://example.org/a/x"),
        ("https://example.org/a/", "https://example.org:8443/a/x"),
        ("https://example.org/a/", "https://example.org@evil.org/a/x"),
        ("https://example.org/a/", "https://evil.org/a/x?example.org/a/"),
        ("https://example.org/", "https://evil.org\\@example.org/"),
        ("https://example.org/", "https://evil.org?@example.org/"),
        ("https://example.org/", "https://evil.org#@example.org/"),
        ("https://example.org/", "https://a@evil.org@example.org/"),
        ("https://example.org/", "https://example.org%2eevil.org/"),
        ("https://*.example.org/", "https://evil.org/.example.org/"),
        ("https://*.example.org/", "https://evil.org\N{FULLWIDTH SOLIDUS}.example.org/"),
        ("https://*.example.org/", "https://example.org/"),
        ("https://*.example.org/", "https://evilexample.org/"),
        ("https://*.example.org/", "https://data.example.org:8443/"),
        ("https://example.org/a/", "https://example.org/a%2f..%2fb"),
        ("https://example.org/a/", "https://example.org/a;/../b"),
        ("https://example.org/a/", "https://example.org//a/x"),
        ("https://example.org/", "https:example.org/a"),
        ("ftp://host/pub/", "ftp://host//pub/x"),
        ("/data/ann", "/data/anna"),
        ("/data/ann", "/data/ann/../bob"),
        ("/data/ann", "file://host/data/ann/x"),
        ("/data/ann", "file:/data/ann/x"),
        ("/data/ann", "data/ann/x"),
        ("/data/ann", "/data/ann/a\nb"),
    ],
)
def test_nothing_else_is_covered(prefix: str, url: str) -> None:
    with pytest.raises(Denied, match=r"StorageAccess\.Rules"):
        rules(prefix).demand("ann", Way.READ, url)


@given(scheme=SCHEMES, base=PATHS, below=PATHS)
def test_all_below_is_allowed_and_siblings_are_not(scheme: str, base: str, below: str) -> None:
    known, host = rules(f"{start(scheme)}/{base}/"), start(scheme)
    assert known.allows("ann", Way.READ, f"{host}/{base}/{below}")
    assert known.allows("ann", Way.READ, f"{host}/{base}")
    assert not known.allows("ann", Way.READ, f"{host}/{base}{below.replace('/', '')}")
    assert not known.allows("ann", Way.WRITE, f"{host}/{base}/{below}")
    assert not known.allows("ann", Way.READ, f"{start(scheme, 'other')}/x{base}/{below}")


@given(
    scheme=SCHEMES,
    base=PATHS,
    steps=st.lists(st.sampled_from((".", "..", "x", "")), max_size=6),
    times=st.integers(0, 5),
    slash=st.sampled_from(("/", "\\", "%2f", "%5C", "%252F")),
)
@example("s3", "a", ["..", "b"], 1, "/")
def test_nobody_climbs_out_however_it_is_written(
    scheme: str, base: str, steps: list[str], times: int, slash: str
) -> None:
    dot = f"%{'25' * (times - 1)}2e" if times else "."
    said = slash.join(step.replace(".", dot) for step in steps)
    url = f"{start(scheme)}/{base}/{said}"
    if ".." in steps:
        assert not rules(f"{start(scheme)}/{base}/").allows("ann", Way.READ, url)
    elif rules(f"{start(scheme)}/{base}/").allows("ann", Way.READ, url):
        assert place_of(url).parts[: base.count("/") + 1] == tuple(base.split("/"))


@given(st.text(), st.text())
def test_no_text_is_a_fault(url: str, user: str) -> None:
    known = rules("s3://lab/ann/", "https://*.example.org/", "/data", users=["ann"])
    for text in (url, f"s3://{url}", f"https://{url}", f"file://{url}"):
        known.allows(user, Way.READ, text)


@given(PATHS)
def test_a_web_address_is_the_same_however_it_is_encoded(path: str) -> None:
    assert place_of(f"https://h/{path}") == place_of(f"https://h/{quote(path)}")


def test_rules_add_up_and_are_for_those_whom_they_name() -> None:
    known = StorageRules(
        (
            *rules("s3://shared/").rules,
            *rules("s3://lab/ann/", users=["ann"], write=["s3://lab/ann/results/"]).rules,
        )
    )
    assert known.allows("bob", Way.READ, "s3://shared/x")
    assert known.allows("", Way.READ, "s3://shared/x")
    assert known.allows("ann", Way.READ, "s3://lab/ann/x")
    assert not known.allows("bob", Way.READ, "s3://lab/ann/x")
    assert not known.allows("", Way.READ, "s3://lab/ann/x")
    assert not known.allows("ann", Way.WRITE, "s3://lab/ann/x")
    assert known.allows("ann", Way.WRITE, "s3://lab/ann/results/x")


def test_without_rules_everything_is_as_the_stores_have_it() -> None:
    StorageRules().demand("", Way.WRITE, "no URL at all")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3://",
        "data",
        "s3://lab/*",
        "s3://lab/../x",
        "https:///x",
        "https://h\\x",
        "file://h/x",
    ],
)
def test_a_rule_names_a_place(text: str) -> None:
    with pytest.raises(Invalid):
        prefix_of(text)


def test_the_field_is_named_and_no_secret_is() -> None:
    spec = Spec(
        executors=(Executor(image="a", command=("b",)),),
        inputs=(Input(path="/a", content="x"), Input(path="/b", url="s3://lab/b")),
        outputs=(Output(path="/c", url="ftp://ann:secret@host/c"),),
    )
    with pytest.raises(Denied, match=r"^inputs\[1\]\.url: ann may not read s3://lab/b: no rule in"):
        demand_all(rules("s3://other/"), "ann", spec)
    with pytest.raises(Denied, match=r"^outputs\[0\]\.url: ann may not write ftp://ann@host/c: "):
        demand_all(rules("s3://lab/"), "ann", spec)
    demand_all(rules("s3://lab/", write=["ftp://host/"]), "ann", spec)


def test_directories_of_this_machine_are_known_by_their_real_paths_too() -> None:
    known = rules("/data/ann", "s3://lab/").with_real(lambda path: f"/mnt{path}")
    assert known.allows("ann", Way.READ, "/mnt/data/ann/x")
    assert known.allows("ann", Way.READ, "/data/ann/x")
    assert not known.allows("ann", Way.READ, "/mnt/lab")


@pytest.mark.parametrize(
    ("url", "path"),
    [("/a", "/a"), ("file:///a", "/a"), ("FILE:///a", "/a"), ("s3://a/b", ""), ("a", "")],
)
def test_what_is_on_this_machine(url: str, path: str) -> None:
    assert local_path(url) == path
