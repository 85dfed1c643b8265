"""The house: every import goes down or stays on its floor, none in a circle; the method and the windows know no mm*."""
import sys

import pytest
from house import ROOT, circle, graph, imports_of, module_of, room_of

PACKAGE = ROOT / 'mmseg_vittm'
# From the ground up; an import goes to the same floor or one below.
FLOORS = (
    {'errors', 'outputs', 'stack', 'version', 'visualization'},
    {'ttm', 'vittm'},
    {'weights', 'weights.warm_start'},
    {'inference', 'inference.large', 'inference.windows', 'backbones', 'classification', 'datasets', 'datasets.balance',
     'datasets.bands', 'datasets.moving_toy', 'datasets.toy', 'datasets.video', 'evaluation', 'streaming'},
    {'measure', 'measure.benchmark', 'measure.complexity', 'measure.laboratory', 'measure.plots', 'engine',
     'engine.distillation', 'engine.hooks', 'engine.processes', 'engine.state', 'engine.work_dir'},
    {'commands', 'commands.autolabeling', 'commands.configs', 'commands.evaluating', 'commands.laboratory',
     'commands.new_dataset', 'commands.segmenting', 'commands.streaming', 'commands.trial'},
    {''},  # the package itself, which exports from all
)
# Rooms that import PyTorch and these alone, besides the standard library, their own folder and our errors.
APART = {'ttm': {'torch'}, 'vittm': {'torch', 'timm'}, 'inference.windows': {'torch', 'triton'}}


def floor_of(module: str) -> int:
    room = room_of(module, PACKAGE) if module else ''
    floors = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    assert floors, f'{room} is a room of no floor; add it to FLOORS, and to docs'
    return floors[0]


MODULES = graph(PACKAGE)


@pytest.mark.parametrize('module', MODULES)
def test_no_import_goes_up(module):
    wrong = [f'mmseg_vittm/{module.replace(".", "/")}, line {line}: imports {other or "mmseg_vittm"}, which is '
             f'{floor_of(other) - floor_of(module)} floors above'
             for other, line in MODULES[module].items() if floor_of(other) > floor_of(module)]
    assert not wrong, '; '.join(wrong)


def test_no_import_runs_in_a_circle():
    found = circle({module: set(others) for module, others in MODULES.items()})
    assert found is None, 'a circle of imports: ' + ' -> '.join(found)


def test_rooms_of_a_floor_form_no_circle():
    """Between folders too: where two rooms import each other, they are one room."""
    rooms: dict[str, set[str]] = {}
    for module, others in MODULES.items():
        top = module.split('.')[0]
        rooms.setdefault(top, set()).update({other.split('.')[0] for other in others} - {top, ''})
    found = circle({room: others for room, others in rooms.items() if room})
    assert found is None, 'rooms that import each other: ' + ' -> '.join(found)


@pytest.mark.parametrize('room', APART)
def test_what_stands_apart(room):
    folder, allowed = PACKAGE / room.replace('.', '/'), APART[room] | sys.stdlib_module_names
    for path in sorted(folder.glob('*.py')):
        for name, line in imports_of(path, PACKAGE):
            inside = name.startswith((f'mmseg_vittm.{room}', 'mmseg_vittm.errors.'))
            assert inside or name.split('.')[0] in allowed, f'{path.name}, line {line}: imports {name}'


def test_folders_form_no_circle():
    """At any depth; a module that lies loose among folders stands for itself."""
    folders: dict[str, set[str]] = {}
    for module, others in MODULES.items():
        here = lodging(module)
        folders.setdefault(here, set()).update({lodging(other) for other in others} - {here, ''})
    found = circle({room: others for room, others in folders.items() if room})
    assert found is None, 'folders that import each other: ' + ' -> '.join(found)


def lodging(module: str) -> str:
    """A module's folder, if that holds no folders of its own, and else the module."""
    folder = module.rpartition('.')[0]
    leaf = not any((one / '__init__.py').is_file() for one in (PACKAGE / folder.replace('.', '/')).iterdir()
                   if one.is_dir())
    return folder if leaf and folder else module


def test_modules_are_found():
    assert len(MODULES) > 50 and module_of(PACKAGE / '__init__.py', PACKAGE) == ''
    assert 'vittm.heads' in MODULES['vittm.block'] and 'weights.pretrained' in MODULES['backbones.vittm']


@pytest.mark.parametrize('arrows,found', [
    (dict(a={'b'}, b={'c'}, c={'a'}), ['a', 'b', 'c', 'a']), (dict(a={'b', 'c'}, b={'c'}, c=set()), None),
    (dict(a=set(), b={'b'}), ['b', 'b'])])
def test_circles_are_seen(arrows, found):
    assert circle(arrows) == found
