"""Lists of a config that settings make longer, such as the visualizer's backends; and backends that nothing reads."""
from collections.abc import Iterable

from mmengine.config import Config, ConfigDict

from ...errors import shown
from .sections import items_of


def lengthen_lists(cfg: Config, names: Iterable[str]) -> None:
    """Appends a dict to each list of dicts that a setting gives the type of one more element.

    `vis_backends.1.type` of a list of one is such a setting, which mmengine refuses. An index without a type may be a
    mistake, and stays one.

    Args:
        cfg: The config.
        names: Dotted names of settings.
    """
    for name in sorted(names):
        *path, number, last = name.split('.') if name.count('.') > 1 else (name, '', '')
        node = cfg._cfg_dict
        for key in path if last == 'type' and number.isdecimal() else ():
            node = _element(node, key)
        if isinstance(node, list) and len(number) < 6 and int(number) == len(node) and all(
                isinstance(one, dict) for one in node):
            node.append(ConfigDict())


def _element(node: object, key: str) -> object:
    if isinstance(node, dict):
        return dict(items_of(node)).get(key)
    if isinstance(node, (list, tuple)) and key.isdecimal() and len(key) < 6 and int(key) < len(node):
        return node[int(key)]
    return None


def unread_backends(cfg: Config) -> str | None:
    """Returns a sentence where a config sets `vis_backends` anew, which the visualizer that it inherits does not read.

    None where all is well.
    """
    given, visualizer = cfg.get('vis_backends'), cfg.get('visualizer')
    if not isinstance(given, (list, tuple)) or not isinstance(visualizer, dict):
        return None
    if visualizer.get('vis_backends') == given:
        return None
    return (f'{cfg.filename}: nothing reads vis_backends={shown(str(given))}, for the visualizer has its own; set '
            'visualizer=dict(vis_backends=[...])')
