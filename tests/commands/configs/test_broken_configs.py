"""Files that are no configs: each an error in one line with its own cause, and where it is."""
import os

import pytest

from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.errors import InputError

BROKEN = {
    'syntax.py': ('x = 1\ny = (\n', 'line 2'),
    'fails.py': ('x = 1\n\ny = 1 / 0\n', 'line 3: ZeroDivisionError'),
    'ends.py': ('raise SystemExit(0)\n', 'line 1: SystemExit'),
    'itself.py': ("_base_ = './itself.py'\n", 'has itself as _base_'),
    'no_base.py': ("_base_ = './missing.py'\n", 'missing.py'),
    'binary.py': (bytes(range(256)) * 9, 'cannot be read as a config'),
    'empty.py': ('', 'has no model'),
    'cut.json': ('{"a": [1, 2', 'JSONDecodeError'),
    'list.json': ('[1, 2]', 'cannot be read as a config'),
    'deep.json': ('{"a": ' + '[' * 30000 + ']' * 30000 + '}', 'nested too deep'),
    'cut.yaml': ('a: [1\n b', 'cannot be read as a config'),
    'number.yaml': ('model: 3\ntest_pipeline: 3\n', 'model must be a dict with a type, got 3'),
    'text.txt': ('x', 'cannot be read as a config'),
    'imports.py': ("custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)", 'not installed'),
    'lazy.py': ('from no_such_module import x\n', 'not installed'),
    'scope.py': ("default_scope = 'mmsegg'\nmodel = dict(type='ViTTM')\ntest_pipeline = [dict(type='Resize')]",
                 "default_scope='mmsegg': no such scope"),
}


@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_config_is_one_line(name, tmp_path):
    content, said = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load_config(str(path), job='infer')
    message = str(caught.value)
    assert said in message and str(path) in message and '\n' not in message and len(message) < 1500


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe.py')
    os.symlink('two.py', tmp_path / 'one.py')
    os.symlink('one.py', tmp_path / 'two.py')
    for path, said in ((tmp_path, 'but a folder'), (tmp_path / 'pipe.py', 'a device or a pipe'),
                       ('/dev/zero', 'a device or a pipe'), (tmp_path / 'one.py', 'no config file can be there'),
                       ('a' * 300, 'no config file can be there'), ('\0', 'no config file can be there'),
                       (tmp_path / 'none.py', 'no such config file')):
        with pytest.raises(InputError, match=said):
            load_config(str(path))


def test_a_config_without_a_scope_has_mmsegmentations(tmp_path):
    path = tmp_path / 'scopeless.py'
    path.write_text("model = dict(type='EncoderDecoder', backbone=dict(type='MSCAN'), decode_head=dict())\n")
    assert load_config(str(path)).default_scope == 'mmseg'
