"""Settings from a YAML file."""

from pathlib import Path
from typing import Final

import yaml

from funnel.config.leaf import Raw
from funnel.config.sources import Tree
from funnel.core.error import Invalid, NotFound

NULL: Final = "tag:yaml.org,2002:null"
MERGE: Final = "tag:yaml.org,2002:merge"


def from_file(path: Path) -> Tree:
    """Raises `NotFound` and `Invalid`, with the line where there is one."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"cannot read the settings file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not text in UTF-8") from None
    return from_text(text, where=str(path))


def from_text(text: str, *, where: str) -> Tree:
    try:
        raw = _raw(yaml.compose(text, Loader=yaml.SafeLoader), ())
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Invalid(f"{where}{line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise Invalid(f"{where}: {' '.join(str(error).split())}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise Invalid(f"{where} is not a settings file: expected Name: value")
    return raw


def _raw(node: yaml.Node | None, above: tuple[yaml.Node, ...]) -> Raw:
    """What a YAML node holds, its scalars as they are written: 1.10, 0700, no and 10:20 stay."""
    if node in above:
        raise yaml.MarkedYAMLError(problem="an alias inside itself", problem_mark=node.start_mark)
    match node:
        case yaml.ScalarNode():
            return None if node.tag == NULL else node.value
        case yaml.SequenceNode():
            return [_raw(one, (*above, node)) for one in node.value]
        case yaml.MappingNode():
            return _mapping(node, (*above, node))
        case _:
            return None


def _mapping(node: yaml.MappingNode, above: tuple[yaml.Node, ...]) -> dict[str, Raw]:
    merged: dict[str, Raw] = {}
    own: dict[str, Raw] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            merged |= _merged(_raw(value, above))
        elif not isinstance(key, yaml.ScalarNode) or key.tag == NULL:
            raise yaml.MarkedYAMLError(problem="a name must be text", problem_mark=key.start_mark)
        elif key.value in own:
            problem = f"{key.value} is given twice"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        else:
            own[key.value] = _raw(value, above)
    return merged | own


def _merged(raw: Raw) -> dict[str, Raw]:
    """What `<<` brings in: a mapping, or several, of which the first counts most."""
    parts = reversed(raw) if isinstance(raw, list) else [raw]
    return {name: one for part in parts if isinstance(part, dict) for name, one in part.items()}
