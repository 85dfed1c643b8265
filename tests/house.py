"""The house as its imports show it: rooms, floors and arrows. `python tests/house.py [FOLDER]` counts them.

A room is a folder of the package, or a loose module beside them. An arrow is a pair of rooms of which one imports the
other. Floors are the longest way along arrows, circles within one folder aside.
"""
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def module_of(path: Path, package: Path) -> str:
    """The dotted name of a file below the package, `''` for its `__init__`."""
    parts = path.relative_to(package).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports_of(path: Path, package: Path) -> Iterator[tuple[str, int]]:
    """Yields the absolute name of everything that a file imports, in functions too, and the line."""
    here = path.relative_to(package.parent).with_suffix('').parts
    folder = here[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[:len(folder) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *(node.module or '').split('.')]).strip('.')
            for alias in node.names:
                yield f'{module}.{alias.name}', node.lineno


def graph(package: Path) -> dict[str, dict[str, int]]:
    """The modules of a package, and which of its modules each imports, with the line."""
    files = {module_of(path, package): path for path in sorted(package.rglob('*.py'))}
    arrows: dict[str, dict[str, int]] = {name: {} for name in files}
    for name, path in files.items():
        for imported, line in imports_of(path, package):
            if imported.split('.')[0] != package.name:
                continue
            inner = imported.removeprefix(package.name).strip('.')
            target = inner if inner in files else inner.rpartition('.')[0]
            if target in files and target != name:
                arrows[name].setdefault(target, line)
    return arrows


def room_of(module: str, package: Path) -> str:
    """The room of a module: its folder, or itself where it lies loose in the package."""
    return module if (package / module.replace('.', '/')).is_dir() else module.rpartition('.')[0] or module


def room_arrows(package: Path) -> set[tuple[str, str]]:
    """The pairs of rooms of which the first imports the second; the package's own `__init__` is no room."""
    pairs = {(room_of(one, package), room_of(other, package)) for one, others in graph(package).items()
             for other in others if one}
    return {(one, other) for one, other in pairs if one != other and other}


def circle(arrows: dict[str, set[str]]) -> list[str] | None:
    """A circle along arrows, None where there is none."""
    done, way = set(), []

    def visit(node: str) -> list[str] | None:
        if node in way:
            return [*way[way.index(node):], node]
        if node in done:
            return None
        way.append(node)
        for other in sorted(arrows.get(node, ())):
            found = visit(other)
            if found:
                return found
        done.add(way.pop())
        return None
    return next(filter(None, map(visit, sorted(arrows))), None)


def count(package: Path) -> dict[str, int]:
    """Lines, files, rooms, floors and arrows of a package."""
    files, pairs = sorted(package.rglob('*.py')), room_arrows(package)
    rooms = {room_of(module_of(path, package), package) for path in files} - {''}
    depth: dict[str, int] = {}

    def floor(room: str, above: tuple = ()) -> int:
        if room not in depth:
            below = [other for one, other in pairs if one == room and other not in (*above, room)]
            depth[room] = 1 + max((floor(other, (*above, room)) for other in below), default=0)
        return depth[room]
    return dict(lines=sum(len(path.read_text().splitlines()) for path in files), files=len(files), rooms=len(rooms),
                floors=max(map(floor, sorted(rooms))), arrows=len(pairs))


if __name__ == '__main__':
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'mmseg_vittm').resolve()
    sys.stdout.write(', '.join(f'{number} {name}' for name, number in count(folder).items()) + '\n')
