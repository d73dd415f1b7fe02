"""Names of container images, by the grammar of OCI references."""

import re
from typing import Final

LONGEST_NAME: Final = 255
LONGEST_REFERENCE: Final = 1024

_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST: Final = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE: Final = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::{_TAG})?(?:@{_DIGEST})?"
)


def objection(image: str) -> str:
    """
    What is wrong with the name of an image; empty when nothing is.

    >>> objection("quay.io:5000/team/tool:1.0")
    ''
    >>> objection("Ubuntu")
    'not an image name: the repository must be in lower case'
    """
    if len(image) > LONGEST_REFERENCE:
        return f"not an image name: longer than {LONGEST_REFERENCE} characters"
    found = _REFERENCE.fullmatch(image)
    if not found:
        return f"not an image name: {_reason(image)}"
    if len(found["name"]) > LONGEST_NAME:
        return f"not an image name: the repository is longer than {LONGEST_NAME} characters"
    return ""


def _reason(image: str) -> str:
    if "://" in image:
        return f"leave out {image.partition('://')[0] + '://'!r}"
    if re.search(r"\s", image):
        return "it must not contain white space"
    if _REFERENCE.fullmatch(image.lower()):
        return "the repository must be in lower case"
    return "expected [host[:port]/]repository[:tag][@digest]"
