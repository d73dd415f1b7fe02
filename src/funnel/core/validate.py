"""What makes a spec acceptable."""

import math
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, cast

from msgspec import json

from funnel.core.error import Invalid, Problem
from funnel.core.image import objection
from funnel.core.limits import LIMITS, Limits
from funnel.core.path import Parts, has_below, parts, text
from funnel.core.places import SEALED, TMP, is_free, is_of_image, is_of_kernel, is_workable
from funnel.core.plain import is_plain
from funnel.core.task import Executor, FileType, Input, Output, Resources, Spec
from funnel.core.url import objection as of_login
from funnel.core.value import Value
from funnel.core.wildcard import has_wildcard, split

HEADER: Final = "invalid task message:"
REQUIRED: Final = "required, but empty"
NOT_ABSOLUTE: Final = "must be an absolute path"
ROOT: Final = "must not be the root directory"
INT32: Final = 2**31 - 1
MOST_SHOWN: Final = 100

_WORD: Final = re.compile(r"[a-z_]+")
_UNTIDY: Final = re.compile(r"//|/\.|/$")
_CONTROL: Final = re.compile(r"[\x01-\x1f\x7f]")
_SOMEWHERE: Final = re.compile(r"/|(?!file:)[A-Za-z][A-Za-z0-9+.-]*:|file:///")
_NOT_IN_ENV_NAME: Final = re.compile(r"[=\s\x01-\x1f\x7f]")
_NOT_ITS_OWN: Final = frozenset({"", ".", *(at[0] for at in SEALED if at)})


def check(spec: Spec, limits: Limits = LIMITS) -> None:
    """Raise `Invalid` with everything that is wrong with the spec, in its own order."""
    if limits is LIMITS and is_plain(spec):
        return
    found = _problems(spec, limits)
    problems = tuple(islice(found, MOST_SHOWN))
    if not problems:
        return
    lines = [f"{_in_go(problem.field)}: {problem.message}" for problem in problems]
    if next(found, None):
        lines.append("and more")
    raise Invalid("\n".join((HEADER, *lines, "")), problems)


def entry(where: str, key: str) -> str:
    """
    The field that is an entry of a map.

    >>> entry("tags", "a b")
    'tags["a b"]'
    """
    return f"{where}[{_quoted(key)}]"


def _problems(spec: Spec, limits: Limits) -> Iterator[Problem]:
    if spec.name or spec.description:
        yield from _named("", spec, limits)
    yield from _executors(spec.executors, limits)
    yield from _inputs(spec.inputs, limits)
    yield from _outputs(spec.outputs, limits)
    yield from _volumes(spec.volumes, limits)
    yield from _twice(spec)
    yield from _one_place(spec.outputs)
    yield from _below_files(spec)
    yield from _resources(spec.resources, limits)
    if spec.tags:
        yield from _pairs("tags", spec.tags, limits)
    yield from _nul(spec)


def _executors(executors: tuple[Executor, ...], limits: Limits) -> Iterator[Problem]:
    if not executors:
        yield Problem("executors", "at least one executor is required")
    yield from _many("executors", len(executors), limits.executors)
    for at, executor in enumerate(executors[: limits.executors]):
        yield from _executor(f"executors[{at}]", executor, limits)


def _executor(where: str, executor: Executor, limits: Limits) -> Iterator[Problem]:
    if not executor.image:
        yield Problem(f"{where}.image", REQUIRED)
    elif wrong := objection(executor.image):
        yield Problem(f"{where}.image", wrong)
    yield from _command(f"{where}.command", executor.command, limits)
    for name in ("workdir", "stdin", "stdout", "stderr"):
        if path := getattr(executor, name):
            yield from _path(f"{where}.{name}", path, limits)
            yield from _of_executor(f"{where}.{name}", name, path)
    if executor.env:
        yield from _env(f"{where}.env", executor.env, limits)


def _command(where: str, command: tuple[str, ...], limits: Limits) -> Iterator[Problem]:
    if not command:
        yield Problem(where, REQUIRED)
    yield from _many(where, len(command), limits.words)
    if sum(map(len, command)) * 4 <= limits.argument:
        return
    for at, word in enumerate(command[: limits.words]):
        if _is_long(word, limits.argument):
            yield Problem(f"{where}[{at}]", _too_long_to_start(limits))


def _of_executor(where: str, name: str, path: str) -> Iterator[Problem]:
    at = _told_apart(path)
    if name == "workdir":
        if at and not is_workable(at):
            yield Problem(where, "must not be in /dev, /proc or /sys")
    elif at == ():
        yield Problem(where, ROOT)
    elif at and name != "stdin" and not is_of_kernel(at):
        yield from _free(where, path)


def _env(where: str, env: Mapping[str, str], limits: Limits) -> Iterator[Problem]:
    yield from _many(where, len(env), limits.env)
    for name, value in islice(env.items(), limits.env):
        if not name or _NOT_IN_ENV_NAME.search(name):
            message = "a name must not be empty or contain '=', white space or control characters"
            yield Problem(entry(where, name), message)
        if _is_long(f"{name}={value}", limits.argument):
            yield Problem(entry(where, name), _too_long_to_start(limits))


def _too_long_to_start(limits: Limits) -> str:
    return (
        f"must be at most {limits.argument} bytes, or Linux does not start the program;"
        " give it a file, as an input with content"
    )


def _inputs(inputs: tuple[Input, ...], limits: Limits) -> Iterator[Problem]:
    yield from _many("inputs", len(inputs), limits.files)
    for at, one in enumerate(inputs[: limits.files]):
        where = f"inputs[{at}]"
        if one.name or one.description:
            yield from _named(f"{where}.", one, limits)
        if one.content and one.url:
            yield Problem(f"{where}.content", "must be empty when Url is non-empty")
        elif not one.content:
            yield from _url(f"{where}.url", one.url, limits)
        yield from _long(f"{where}.content", one.content, limits.content)
        yield from _mapped(f"{where}.path", one.path, limits)


def _outputs(outputs: tuple[Output, ...], limits: Limits) -> Iterator[Problem]:
    yield from _many("outputs", len(outputs), limits.files)
    for at, one in enumerate(outputs[: limits.files]):
        where = f"outputs[{at}]"
        if one.name or one.description:
            yield from _named(f"{where}.", one, limits)
        yield from _url(f"{where}.url", one.url, limits)
        if not has_wildcard(one.path):
            yield from _mapped(f"{where}.path", one.path, limits)
            continue
        yield from _pattern(f"{where}.path", one.path, limits)
        if one.path_prefix:
            yield from _prefix(f"{where}.path_prefix", one, limits)


def _pattern(where: str, path: str, limits: Limits) -> Iterator[Problem]:
    yield from _path(where, path, limits)
    base, _ = split(parts(path))
    if path.startswith("/") and (is_of_image(base) or is_of_kernel(base)):
        hint = "write to a directory of the task's own, as in /out/*"
        yield Problem(where, f"{text(base)} cannot be searched, the image has files there; {hint}")


def _prefix(where: str, output: Output, limits: Limits) -> Iterator[Problem]:
    """Only where the path has wildcards; else it says nothing."""
    if output.path.startswith(output.path_prefix):
        yield from _path(where, output.path_prefix, limits)
    else:
        yield Problem(where, f"path must begin with it, but is {_quoted(output.path)}")


def _volumes(volumes: tuple[str, ...], limits: Limits) -> Iterator[Problem]:
    yield from _many("volumes", len(volumes), limits.files)
    for at, volume in enumerate(volumes[: limits.files]):
        yield from _path(f"volumes[{at}]", volume, limits)
        yield from _free(f"volumes[{at}]", volume)


def _twice(spec: Spec) -> Iterator[Problem]:
    """An input may share its path with no other and with no volume; volumes may repeat."""
    seen: dict[str, int] = {}
    for at, one in enumerate(spec.inputs):
        first = seen.setdefault(_canonical(one.path), at)
        if one.path and first != at:
            yield _also(f"inputs[{at}].path", one.path, first)
    for at, volume in enumerate(spec.volumes):
        found = seen.get(_canonical(volume))
        if volume and found is not None:
            yield _also(f"volumes[{at}]", volume, found)


def _one_place(outputs: tuple[Output, ...]) -> Iterator[Problem]:
    """Two files stored at one URL would leave one of them; patterns add names to theirs."""
    seen: dict[str, int] = {}
    for at, one in enumerate(outputs):
        if not one.url or one.type is FileType.DIRECTORY or has_wildcard(one.path):
            continue
        first = seen.setdefault(one.url, at)
        if _canonical(one.path) != _canonical(outputs[first].path):
            yield Problem(f"outputs[{at}].url", f"is also outputs[{first}].url, of another path")


def _below_files(spec: Spec) -> Iterator[Problem]:
    """What is given as content is a file: nothing else of the task can be there, or below."""
    if not any(one.content for one in spec.inputs):
        return
    workdirs = [one.workdir for one in spec.executors if one.workdir]
    directories = [one.path for one in spec.outputs if one.type is FileType.DIRECTORY]
    folders = {TMP, *map(parts, (*workdirs, *directories))}
    files = [*(one.path for one in spec.inputs), *(one.path for one in spec.outputs)]
    streams = [path for one in spec.executors for path in (one.stdout, one.stderr) if path]
    others = sorted(map(parts, (*workdirs, *files, *streams, *spec.volumes)))
    for index, one in enumerate(spec.inputs):
        at = parts(one.path)
        if one.content and (at in folders or has_below(at, others)):
            message = "is a file, and the task has that path for a directory as well"
            yield Problem(f"inputs[{index}].path", message)


def _also(where: str, path: str, first: int) -> Problem:
    return Problem(where, f"{_quoted(path)} is also inputs[{first}].path")


def _canonical(path: str) -> str:
    return text(parts(path)) if _UNTIDY.search(path) else path


def _resources(resources: Resources, limits: Limits) -> Iterator[Problem]:
    for name in ("cpu_cores", "ram_gb", "disk_gb"):
        amount: float = getattr(resources, name)
        if not math.isfinite(amount):
            yield Problem(f"resources.{name}", "must be a finite number")
        elif amount < 0:
            yield Problem(f"resources.{name}", "must not be negative")
        elif amount > INT32:
            yield Problem(f"resources.{name}", f"must be at most {INT32}")
    if resources.zones or resources.backend_parameters:
        yield from _asked(resources, limits)


def _asked(resources: Resources, limits: Limits) -> Iterator[Problem]:
    yield from _many("resources.zones", len(resources.zones), limits.tags)
    for at, zone in enumerate(resources.zones[: limits.tags]):
        yield from _long(f"resources.zones[{at}]", zone, limits.tag)
    yield from _pairs("resources.backend_parameters", resources.backend_parameters, limits)


def _pairs(where: str, given: Mapping[str, str], limits: Limits) -> Iterator[Problem]:
    yield from _many(where, len(given), limits.tags)
    for key, value in islice(given.items(), limits.tags):
        if not key:
            yield Problem(entry(where, ""), "empty key")
        for said in (key, value):
            yield from _long(entry(where, key), said, limits.tag)


def _named(where: str, one: Spec | Input | Output, limits: Limits) -> Iterator[Problem]:
    yield from _long(f"{where}name", one.name, limits.name)
    yield from _long(f"{where}description", one.description, limits.description)


def _url(where: str, url: str, limits: Limits) -> Iterator[Problem]:
    if not url:
        yield Problem(where, REQUIRED)
    elif _CONTROL.search(url):
        yield Problem(where, "must not contain control characters")
    elif not _SOMEWHERE.match(url):
        yield Problem(where, "must be a URL or an absolute path, as in file:///data/x or /data/x")
    elif wrong := of_login(url):
        yield Problem(where, wrong)
    yield from _long(where, url, limits.url)


def _mapped(where: str, path: str, limits: Limits) -> Iterator[Problem]:
    if not path:
        yield Problem(where, REQUIRED)
        return
    yield from _path(where, path, limits)
    yield from _free(where, path)


def _path(where: str, path: str, limits: Limits) -> Iterator[Problem]:
    if not path.startswith("/"):
        yield Problem(where, NOT_ABSOLUTE)
    if ".." in path and ".." in path.split("/"):
        yield Problem(where, "must not contain '..'")
    if _CONTROL.search(path):
        yield Problem(where, "must not contain control characters")
    if len(path) * 4 > limits.part:
        yield from _long(where, path, limits.path)
        if any(_is_long(one, limits.part) for one in path.split("/")):
            yield Problem(where, f"no part of it may have more than {limits.part} bytes")


def _free(where: str, path: str) -> Iterator[Problem]:
    at = _told_apart(path)
    if at == ():
        yield Problem(where, ROOT)
    elif at and not is_free(at):
        hint = "use a path of the task's own, as in /data/x"
        yield Problem(where, f"would hide what the image has there; {hint}")


def _told_apart(path: str) -> Parts | None:
    """The parts of an absolute path that may not be the task's own; most are by their first."""
    before, slash, below = path.partition("/")
    absolute = slash and not before
    return parts(path) if absolute and below.partition("/")[0] in _NOT_ITS_OWN else None


def _long(where: str, said: str, most: int) -> Iterator[Problem]:
    if _is_long(said, most):
        yield Problem(where, f"must be at most {most} bytes")


def _is_long(said: str, most: int) -> bool:
    """No character takes more than four bytes, so that most texts need not be encoded."""
    return len(said) * 4 > most and len(said.encode(errors="surrogatepass")) > most


def _many(where: str, count: int, most: int) -> Iterator[Problem]:
    if count > most:
        yield Problem(where, f"must be at most {most}, not {count}")


def _nul(spec: Spec) -> Iterator[Problem]:
    """Neither a system call nor every database takes NUL."""
    if b"\\u0000" in json.encode(_without_numbers(spec)):
        for where, said in _texts("", spec):
            if "\0" in said:
                yield Problem(where, "must not contain NUL")


def _without_numbers(spec: Spec) -> object:
    return (
        (spec.name, spec.description, spec.tags, spec.volumes),
        (spec.executors, spec.inputs, spec.outputs),
        (spec.resources.zones, spec.resources.backend_parameters),
    )


def _texts(where: str, given: object) -> Iterator[tuple[str, str]]:
    """All texts below; an entry of a map is one text, of its name and its value."""
    match given:
        case str():
            yield where, given
        case Value():
            for name in given.__struct_fields__:
                yield from _texts(f"{where}.{name}" if where else name, getattr(given, name))
        case Mapping():
            for key, value in cast("Mapping[str, str]", given).items():
                yield entry(where, key), key + value
        case tuple():
            for at, item in enumerate(cast("tuple[object, ...]", given)):
                yield from _texts(f"{where}[{at}]", item)
        case _:
            pass


def _quoted(said: str) -> str:
    short = said if len(said) <= 80 else f"{said[:80]}…"
    return json.encode(short).decode()


def _in_go(field: str) -> str:
    """The reference's name of a field, which its users compare."""
    path, quote, key = field.partition('["')
    return f"Task.{_WORD.sub(_capital, path)}{quote}{key}"


def _capital(found: re.Match[str]) -> str:
    return found[0].title().replace("_", "")
