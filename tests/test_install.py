"""The plain install: no mm* package needed for the encoder, none pulled in, nothing printed at import."""
import ast
import runpy
import sys

import pytest
from tiny_models import ROOT

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
mmseg_vittm.weights.files.read_weights_file
assert mmseg_vittm.__version__
print('done')
""")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, 'done', ''), done


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
    assert imported(path) <= {'torch', 'timm', 'math', 'collections', 'contextlib', 'functools', 'typing', '.'}


@pytest.fixture
def metadata(monkeypatch) -> dict:
    """What setup.py tells setuptools."""
    setuptools, said = pytest.importorskip('setuptools'), {}
    monkeypatch.setattr(setuptools, 'setup', said.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path('setup.py')
    return said


def test_a_plain_install_touches_no_mm_package(metadata):
    names = [requirement.split('>')[0] for requirement in metadata['install_requires']]
    assert {'torch', 'timm', 'safetensors', 'numpy'} <= set(names)
    assert not [name for name in names if name.startswith(('mm', 'onedl', 'openmim'))]
    assert sorted(requirement.split('>')[0] for requirement in metadata['extras_require']['mmseg']) == [
        'onedl-mmcv', 'onedl-mmengine', 'onedl-mmsegmentation']
    assert metadata['name'] == 'mmseg-vittm' and metadata['python_requires'] == '>=3.10'
    assert {'mmseg_vittm', 'mmseg_vittm.vittm', 'mmseg_vittm.backbones'} <= set(metadata['packages'])
    assert not any(name.startswith('tests') for name in metadata['packages'])


def test_what_the_plain_install_imports_is_required(metadata):
    """Third-party modules outside the MMSegmentation side come with the plain requirements."""
    required = {requirement.split('>')[0].lower() for requirement in metadata['install_requires']}
    names = ('__init__', 'stack', 'errors', 'weights/pretrained', 'weights/files', 'weights/convert')
    files = [*(ROOT / 'mmseg_vittm' / 'vittm').glob('*.py'), *(ROOT / 'mmseg_vittm' / f'{name}.py' for name in names)]
    third = {name for path in files for name in imported(path)
             if not name.startswith('.') and name not in sys.stdlib_module_names}
    assert third <= required, f'not required: {third - required}'
