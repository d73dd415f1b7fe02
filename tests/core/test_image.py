import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.image import objection

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    "image",
    [
        "ubuntu",
        "ubuntu:22.04",
        "library/ubuntu",
        "quay.io/biocontainers/bwa:0.7.17--h7132678_9",
        "localhost:5000/tool",
        "registry:5000/a/b/c:v1@" + DIGEST,
        "UPPER.example.org/tool",
        "[2001:db8::1]:5000/tool",
        "a__b/c.d/e---f",
        f"alpine@{DIGEST}",
        "snakemake/snakemake:v9",
        "a:" + "t" * 128,
        "/".join(["a"] * 128),
    ],
)
def test_names_of_images_are_taken(image: str) -> None:
    assert objection(image) == ""


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("Ubuntu", "the repository must be in lower case"),
        ("quay.io/Team/tool:1", "the repository must be in lower case"),
        ("docker://alpine", "leave out 'docker://'"),
        ("my image", "it must not contain white space"),
        ("alpine\n", "it must not contain white space"),
        ("-alpine", "expected [host[:port]/]repository[:tag][@digest]"),
        ("--privileged", "expected [host[:port]/]repository[:tag][@digest]"),
        ("alpine:", "expected [host[:port]/]repository[:tag][@digest]"),
        ("alpine:.1", "expected [host[:port]/]repository[:tag][@digest]"),
        ("a:" + "t" * 129, "expected [host[:port]/]repository[:tag][@digest]"),
        ("alpine@sha256:short", "expected [host[:port]/]repository[:tag][@digest]"),
        ("a//b", "expected [host[:port]/]repository[:tag][@digest]"),
        ("a/../b", "expected [host[:port]/]repository[:tag][@digest]"),
        ("a\0", "expected [host[:port]/]repository[:tag][@digest]"),
        ("/".join(["a"] * 129), "the repository is longer than 255 characters"),
        ("a" * 1025, "longer than 1024 characters"),
    ],
)
def test_what_is_no_name_is_told_why(image: str, reason: str) -> None:
    assert objection(image) == f"not an image name: {reason}"


@given(st.text(max_size=40))
def test_a_name_never_begins_an_option_or_holds_a_blank(image: str) -> None:
    if not objection(image):
        assert re.fullmatch(r"[\[A-Za-z0-9][A-Za-z0-9\[\]:/._@+-]*", image)


def test_a_long_name_is_judged_in_no_time() -> None:
    assert objection("a" + "-" * 1000 + "!")
    assert objection("a." * 500)
