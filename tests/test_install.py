"""The plain install: no mm* package needed for the encoder, none pulled in, nothing printed at import."""
import ast
import sys
import warnings

import pytest
from tiny_models import ROOT

from mmseg_vittm.version import __version__

STACK = ('mmengine', 'mmcv', 'mmseg', 'mmdet', 'mmpretrain')
# Makes the stack unimportable in an interpreter that has it, as if it were not installed.
BLOCK = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {STACK}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Blocker())
for name in [name for name in sys.modules if name.split('.')[0] in {STACK}]:
    del sys.modules[name]
"""


def test_the_encoder_works_without_the_stack(run_python):
    done = run_python(BLOCK + """
import torch
import mmseg_vittm, mmseg_vittm.vittm.classifier, mmseg_vittm.weights.pretrained, mmseg_vittm.weights.convert
from mmseg_vittm.vittm import ViTTMEncoder
arch = dict(embed_dims=48, num_layers=1, num_heads=4, mlp_ratio=4.0)
mmseg_vittm.vittm.classifier.ViTTMClassifier(ViTTMEncoder(arch, 56), 3)(torch.zeros(1, 3, 56, 56))
torch.save({'weight': torch.ones(2)}, 'weights.pth')
assert mmseg_vittm.weights.files.read_weights_file('weights.pth')['weight'].tolist() == [1, 1]
assert mmseg_vittm.__version__
print('done')
""")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, 'done', ''), done


def test_timm_knows_the_classifiers_without_the_stack(run_python):
    done = run_python(BLOCK + """
import timm
import mmseg_vittm
print(timm.list_models('vittm*', module='timm_models'))
""")
    assert done.stdout.count('vittm_') == 5 and not done.stderr, done


def test_the_rest_says_what_to_install(run_python):
    modules = ('backbones', 'datasets', 'engine')
    statements = [f'import mmseg_vittm.{name}' for name in modules] + [
        'from mmseg_vittm import ViTTM', 'import mmseg_vittm; mmseg_vittm.ViTTM', 'from mmseg_vittm import ViTBackbone',
        'import mmseg_vittm; mmseg_vittm.ToyScenes']
    done = run_python(f"""{BLOCK}
for statement in {statements}:
    try:
        exec(statement)
    except ImportError as error:
        print(statement, '|', error)
""")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(statements)
    for statement, line in zip(statements, lines, strict=True):
        assert line.startswith(statement)
        assert "pip install 'mmseg-vittm[mmseg]'" in line and 'mmengine, mmcv and mmsegmentation' in line, line


def test_a_wrong_name_is_still_an_attribute_error(run_python):
    done = run_python(BLOCK + 'import mmseg_vittm\nmmseg_vittm.ViTMT\n')
    assert done.returncode == 1 and "AttributeError: module 'mmseg_vittm' has no attribute 'ViTMT'" in done.stderr


def test_a_broken_stack_is_not_taken_for_a_missing_one(run_python):
    """Something else that fails to import inside the stack is shown as what it is."""
    done = run_python(BLOCK.replace(str(STACK), "('mmcv', )").replace('name=name)', "name='something_else')")
                      + 'import mmseg_vittm\n')
    pytest.importorskip('mmengine')
    assert done.returncode == 1 and 'pip install' not in done.stderr and 'mmcv' in done.stderr


def test_import_prints_nothing(run_python):
    done = run_python('import mmseg_vittm')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_import_registers_with_mmseg(run_python):
    pytest.importorskip('mmseg')
    done = run_python("""
import mmseg_vittm
from mmseg.registry import DATASETS, HOOKS, MODELS
assert MODELS.get('ViTTM') is mmseg_vittm.ViTTM and MODELS.get('ViTBackbone') is mmseg_vittm.ViTBackbone
assert DATASETS.get('ToyScenes') is mmseg_vittm.ToyScenes
""")
    assert done.returncode == 0, done.stderr


def imported(path) -> set[str]:
    """The top-level names of all absolute imports of a file, and what relative ones reach above its folder."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or '').split('.')[0]
            names.add({0: module, 1: '.'}.get(node.level, '.' * node.level + module))
    return names


@pytest.mark.parametrize('path', sorted((ROOT / 'mmseg_vittm' / 'vittm').glob('*.py')), ids=lambda path: path.name)
def test_the_method_imports_torch_and_timm_alone(path):
    standard = {'math', 'collections', 'contextlib', 'functools', 'logging', 're', 'typing'}
    assert imported(path) <= {'torch', 'timm', '.'} | standard


@pytest.fixture(scope='module')
def pyproject() -> dict:
    """pyproject.toml as setuptools understands it, which brings its own parser where Python has none (3.10)."""
    config = pytest.importorskip('setuptools.config.pyprojecttoml')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # setuptools calls its own table experimental
        return config.read_configuration(ROOT / 'pyproject.toml')


def names_of(requirements: list[str]) -> list[str]:
    return [requirement.split('>')[0] for requirement in requirements]


def test_a_plain_install_touches_no_mm_package(pyproject):
    project = pyproject['project']
    names, extras = names_of(project['dependencies']), project['optional-dependencies']
    assert {'torch', 'timm', 'safetensors', 'numpy'} <= set(names)
    assert not [name for name in names if name.startswith(('mm', 'onedl', 'openmim'))]
    assert sorted(names_of(extras['mmseg'])) == [
        'mmseg-vittm[plots,videos]', 'onedl-mmcv', 'onedl-mmengine', 'onedl-mmsegmentation']
    for extra in set(extras) - {'mmseg'}:
        assert not [name for name in names_of(extras[extra]) if name.startswith(('mm', 'onedl', 'openmim'))], extra
    assert project['name'] == 'mmseg-vittm' and project['requires-python'] == '>=3.10'


def test_the_version_is_the_packages(pyproject):
    assert pyproject['project']['version'] == __version__


def test_every_folder_of_the_package_is_installed(pyproject):
    folders = {path.parent.relative_to(ROOT).as_posix().replace('/', '.')
               for path in (ROOT / 'mmseg_vittm').rglob('*.py')}
    assert set(pyproject['tool']['setuptools']['packages']) == folders


def test_setup_py_adds_nothing():
    """The shim is a docstring, an import and a bare call: metadata are in one place."""
    body = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8')).body
    assert len(body) == 3 and ast.unparse(body[-1]) == 'setup()'


def test_what_the_plain_install_imports_is_required(pyproject):
    """Third-party modules outside the MMSegmentation side come with the plain requirements."""
    required = {name.lower() for name in names_of(pyproject['project']['dependencies'])}
    package = ROOT / 'mmseg_vittm'
    files = [*(package / 'vittm').glob('*.py'), *(package / f'{name}.py' for name in ('__init__', 'stack', 'errors'))]
    files += [path for path in (package / 'weights').glob('*.py') if not imported(path) & set(STACK)]
    assert len(files) > 15
    third = {name for path in files for name in imported(path)
             if not name.startswith('.') and name not in sys.stdlib_module_names}
    assert third <= required, f'not required: {third - required}'
