"""Writes a page per room of the package from what is there, so that the API pages follow every move and new file."""
import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / 'mmseg_vittm'
GROUND = 'the ground'


def modules() -> dict[str, list[str]]:
    """Returns the modules of each room, by name and in order; the room `GROUND` is the package's own files."""
    rooms: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(PACKAGE).with_suffix('').parts
        room = parts[0] if len(parts) > 1 else GROUND
        name = '.'.join(('mmseg_vittm', *(part for part in parts if part != '__init__')))
        rooms.setdefault(room, []).append(name)
    return {room: sorted(names) for room, names in sorted(rooms.items())}


def first_line(module: str) -> str:
    """Returns what the first line of a module's docstring says, after the class's name if it begins with one."""
    path = PACKAGE.parent / Path(*module.split('.'))
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    return (ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or '').split('\n')[0]


def page(room: str, names: list[str]) -> str:
    """Returns a room's page, in reStructuredText: its docstring, then each module with its members."""
    title = 'The ground: errors, outputs, the stack' if room == GROUND else f'``mmseg_vittm.{room}``'
    parts = [title, '=' * len(title), '']
    for name in names:
        is_package = (PACKAGE.parent / Path(*name.split('.'))).is_dir()
        if name != f'mmseg_vittm.{room}':
            heading = f'``{name}``'
            parts += [heading, '-' * len(heading), '']
        # A package's own names are documented where they are defined.
        parts += [f'.. automodule:: {name}', *([] if is_package else ['   :members:', '   :show-inheritance:']), '']
    return '\n'.join(parts)


def index(rooms: dict[str, list[str]]) -> str:
    """Returns the page that lists the rooms."""
    parts = ['API', '===', '', 'From the docstrings, a page per room of the package; :doc:`../architecture` tells what '
             'the rooms are for.', '', '.. list-table::', '   :widths: 30 70', '']
    for room, names in rooms.items():
        said = 'Errors, files to write, the door to MMSegmentation.' if room == GROUND else first_line(names[0])
        parts += [f'   * - :doc:`{file_name(room)}`', f'     - {said}']
    return '\n'.join([*parts, '', '.. toctree::', '   :hidden:', '', *(f'   {file_name(room)}' for room in rooms), ''])


def file_name(room: str) -> str:
    """Returns the name of a room's page without its ending."""
    return room.replace(' ', '_')


def write(folder: Path) -> None:
    """Writes all pages, those that changed alone, and removes those of rooms that are gone."""
    rooms = modules()
    pages = {f'{file_name(room)}.rst': page(room, names) for room, names in rooms.items()} | {'index.rst': index(rooms)}
    folder.mkdir(exist_ok=True)
    for path in folder.glob('*.rst'):
        if path.name not in pages:
            path.unlink()
    for name, content in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding='utf-8') != content:
            path.write_text(content, encoding='utf-8')
