"""A folder of inputs, good ones and bad ones of every kind, in which random command lines run.

`python tests/attacked_box.py DIR` makes it, to repeat by hand what a random command line has shown.
"""
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
from bad_files import spoil, write_run_config, write_set
from PIL import Image
from plotted import SMALL_VITTM, record
from safetensors.torch import save_file
from tiny_models import ROOT
from tool_runs import write_config
from watched_runs import run

LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 123456\n'.format('0' * 64)
CONFIGS = {
    'empty.py': '',
    'syntax.py': 'model = dict(\n',
    'raises.py': 'raise RuntimeError("config")\n',
    'exits.py': 'raise SystemExit(0)\n',
    'divides.py': 'x = 1 / 0\n',
    'imports.py': "custom_imports = dict(imports=['no_such_module'])\nmodel = dict(type='Foo')\n",
    'loop.py': "_base_ = './loop.py'\n",
    'no_base.py': "_base_ = './nowhere.py'\n",
    'bytes.py': b'\xff\xfe\x00\x01',
    'no_model.py': "_base_ = './tiny.py'\nmodel = None\n",
    'no_data.py': "_base_ = './tiny.py'\ntrain_dataloader = None\nval_dataloader = None\ntest_dataloader = None\n",
    'model_alone.py': "default_scope = 'mmseg'\nmodel = dict(type='EncoderDecoder')\n",
    'data_alone.py': f'_base_ = {str(ROOT / "configs/_base_/datasets/toy_scenes.py")!r}\n',
    'no_schedule.py': "_base_ = './tiny.py'\ntrain_cfg = None\noptim_wrapper = None\n",
    'unknown_type.py': "_base_ = './tiny.py'\nmodel = dict(backbone=dict(type='ViTTMM'))\n",
    'unknown_argument.py': "_base_ = './tiny.py'\nmodel = dict(backbone=dict(patch=8))\n",
    'number.py': "_base_ = './tiny.py'\nmodel = 3\n",
    'list.json': '[1, 2]',
    'deep.json': '[' * 100_000,
    'text.yaml': 'just text',
    'bad.yaml': 'a: [1,\nb: }',
    'config.txt': 'model = dict()',
    'lfs.py': LFS,
}
RESULTS = {
    'empty.json': '', 'text.json': 'no json', 'object.json': '{}', 'numbers.json': '[1, 2]', 'none.json': '[]',
    'deep.json': '[' * 100_000, 'nan.json': json.dumps([record(fps=float('nan'))]),
    'huge.json': '[{"fps": 1' + '0' * 4000 + '}]',
    'digits.json': '[' + '9' * 5000 + ']', 'large.json': json.dumps([record(fps=1e308, fps_iqr=[1e-308, 1e308])]),
    'types.json': json.dumps([record(fps='fast', stages_ms=[1], config=5)]), 'bytes.json': b'\xff\xfe[1]',
    'control.json': json.dumps([record('a\x1b[31mb', fps_iqr=None)]), 'lone.json': '[{"config": "\\ud800"}]',
    'wrong.json': json.dumps([record(segmentor=[1], compile={}, dtype='fp99', torch='\n' * 50)]),
}
PLAN = dict(data=[dict(name='toy', image_size=[64, 64])], rows=[dict(name='tiny', config='configs/tiny.py')], seeds=[0],
            speed=dict(images=1, warmup=0, dtypes=['fp32'], threads=[1]))
PLANS = {
    'empty.yaml': '', 'text.yaml': 'just text', 'bad.yaml': 'a: [1,\nb: }', 'bytes.yaml': b'\xff\xfe\x00\x01',
    'loop.yaml': '&a [*a]', 'deep.yaml': '[' * 20_000, 'code.yaml': '!!python/object/apply:os.getcwd []',
    'no_config.yaml': json.dumps(PLAN | dict(rows=[dict(name='x', config='configs/nowhere.py')])),
    'bad_config.yaml': json.dumps(PLAN | dict(rows=[dict(name='x', config='configs/raises.py')])),
    'no_schedule.yaml': json.dumps(PLAN | dict(rows=[dict(name='x', config='configs/no_schedule.py')])),
    'setting.yaml': json.dumps(PLAN | dict(rows=[dict(name='x', config='configs/tiny.py', cfg_options={'a.b': 1})])),
    'control.yaml': json.dumps(PLAN | dict(rows=[dict(name='\x1b[31m', config='configs/tiny.py')])),
    'title.yaml': json.dumps(PLAN | dict(data=[dict(name='toy', image_size=[64, 64], title='\u202e|$x$\n# a')])),
    'huge.yaml': json.dumps(PLAN | dict(data=[dict(name='toy', image_size=[64, 10**30])])),
    'types.yaml': json.dumps(PLAN | dict(data='toy', rows=5, seeds=None, speed=[1])),
}
STRANGE = ('esc\x1b[31m.jpg', 'line\nbreak.jpg', 'bidi\u202egpj.jpg', os.fsdecode(b'latin\xe9.jpg'), '-dash.jpg',
           '~user.jpg', 'star*[0-9]?.jpg', 'a' * 240 + '.jpg')


def make_box(folder: Path) -> Path:
    """Makes the folder; what needs a trained model is made by the tools themselves."""
    for name in ('configs', 'checkpoints', 'images/inner', 'plans', 'results', 'odd', 'links', 'home', 'tmp', 'strange',
                 'bad'):
        (folder / name).mkdir(parents=True)
    _write_configs(folder / 'configs')
    write_set(folder / 'set', 2)
    write_set(folder / 'spoilt', 2)
    for number, fault in enumerate(('half an image', 'label above the classes')):
        spoil(folder / 'spoilt', fault, number=number)
    _write_media(folder)
    for name, content in PLANS.items():
        _write(folder / 'plans' / name, content)
    (folder / 'plans' / 'tiny.yaml').write_text(json.dumps(PLAN))
    for name, content in RESULTS.items():
        _write(folder / 'results' / name, content)
    (folder / 'results' / 'good.json').write_text(json.dumps([record(), record(SMALL_VITTM, fps=1.5)]))
    _run_tools(folder)
    _write_checkpoints(folder / 'checkpoints', folder / 'work' / 'iter_2.pth')
    _write_odd(folder)
    (folder / 'lists').mkdir()
    (folder / 'lists' / 'classes.txt').write_text('\n'.join(f'class {number}' for number in range(15)))
    (folder / 'lists' / 'val.txt').write_text('images/validation/0.jpg\n')
    (folder / 'set' / 'classes.txt').write_text('sky\ntree\nroad\n')
    return folder


def copy_box(box: Path, target: Path) -> Path:
    """Copies a box: links, pipes, holes in files, times and modes as they are."""
    subprocess.run(['cp', '-a', box, target], check=True)
    return target


def _write(path: Path, content: bytes | str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(errors='surrogatepass'))


def _write_configs(folder: Path) -> None:
    write_config(folder, more="""
data_root = 'toy'
dataset = dict(data_root=data_root, num_train=2, num_val=1, image_size=64)
train_dataloader.update(batch_size=2, dataset=dict(pipeline=pipeline, **dataset))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dataset)
test_dataloader = val_dataloader
total_batch_size = 2
train_cfg = dict(max_iters=2, val_interval=2)
""")
    for name, content in CONFIGS.items():
        _write(folder / name, content)
    (folder / 'folder.py').mkdir()
    os.mkfifo(folder / 'pipe.py')
    write_run_config(folder / 'spoilt.py', Path('spoilt'), ROOT / 'configs' / 'segmenter_vittm_t_toy.py')
    nested = 'x = ' + '[' * 90 + ']' * 90
    (folder / 'nested.py').write_text(f"_base_ = './tiny.py'\n{nested}\n")


def _write_media(folder: Path) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    for name in ('a.jpg', 'a.png', 'inner/a.jpg'):
        picture.save(folder / 'images' / name)
    for name in STRANGE:
        picture.save(folder / 'strange' / name)
    whole = (folder / 'images' / 'a.jpg').read_bytes()
    for name, content in {'cut.jpg': whole[:200], 'empty.jpg': b'', 'text.png': b'text', 'lfs.jpg': LFS,
                          'empty.mp4': b'', 'text.avi': b'text', 'no_image.txt': b'text'}.items():
        _write(folder / 'bad' / name, content)
    (folder / 'bad' / 'folder.jpg').mkdir()
    video = cv2.VideoWriter(str(folder / 'images' / 'short.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (32, 24))
    for _ in range(2):
        video.write(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    video.release()


def _run_tools(folder: Path) -> None:
    """Trains, tests, segments and measures, for what earlier runs leave."""
    tiny = 'configs/tiny.py'
    for tool, *arguments in (
            ('train.py', tiny, '--work-dir', 'work', '--cfg-options', 'default_hooks.checkpoint.interval=1',
             *_drawing(folder)),
            ('infer.py', tiny, 'work/iter_2.pth', 'images', '-o', 'earlier'),
            ('plot.py', 'results/good.json', '-o', 'earlier'),
            ('check_dataset.py', tiny, '-o', 'earlier', '--workers', '1'),
            ('complexity.py', tiny, '--json', 'earlier/complexity.json')):
        done = run(folder, tool, arguments)
        if done.status:
            raise RuntimeError(f'{tool} {arguments}: {done.status}\n{done.out[-2000:]}\n{done.err[-3000:]}')
    shutil.rmtree(folder / 'tmp')
    (folder / 'tmp').mkdir()


def _drawing(folder: Path) -> list[str]:
    """What lets the toy scenes be drawn into a folder that is not the default one, where that is asked for."""
    from mmseg_vittm.datasets.toy.scenes import ToyScenes
    asked = 'draw' in ToyScenes.__init__.__code__.co_varnames
    return [f'{split}_dataloader.dataset.draw=True' for split in ('train', 'val', 'test')] if asked else []


def _write_checkpoints(folder: Path, trained: Path) -> None:
    checkpoint = torch.load(trained, weights_only=False)
    state, meta = checkpoint['state_dict'], checkpoint['meta']
    shutil.copy(trained, folder / 'good.pth')
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / 'weights.safetensors')
    whole, first = trained.read_bytes(), next(iter(state))
    contents = {
        'empty.pth': b'', 'text.pth': b'no checkpoint', 'cut.pth': whole[:len(whole) // 2], 'lfs.pth': LFS,
        'page.pth': b'<!DOCTYPE html><html>404</html>', 'code.pth': pickle.dumps(_Code()),
        'config.pth': b'model = dict()',
        'bytes.safetensors': b'\xff' * 100, 'empty.safetensors': b'', 'long.safetensors': b'\xff' * 7 + b'\x7f' + b'{}',
        'gzip.pth': b'\x1f\x8b\x08' + bytes(50), 'noise.pth': whole[:100] + os.urandom(500) + whole[600:]}
    for name, content in contents.items():
        _write(folder / name, content)
    changes = {
        'nan': {'state_dict': state | {first: state[first] * float('nan')}},
        'no_weights': {'state_dict': {}}, 'no_meta': {'meta': None}, 'list': None,
        'other_weights': {'state_dict': {'weight': torch.zeros(2)}},
        'other_shape': {'state_dict': state | {first: torch.zeros(3, 5)}},
        'text_weights': {'state_dict': state | {first: 'text'}},
        'two_classes': {'meta': meta | {'dataset_meta': {'classes': ('a', 'b'), 'palette': [[0] * 3] * 2}}},
        'classes_number': {'meta': meta | {'dataset_meta': {'classes': 5}}},
        'negative': {'meta': meta | {'iter': -7}}, 'iter_text': {'meta': meta | {'iter': 'x'}},
        'random': {'random_states': [{}]}, 'optimizer': {'optimizer': {'state': {}, 'param_groups': []}},
        'wide': {'state_dict': state | {first: torch.zeros(1).expand(10**6, 10**5)}}}
    for name, change in changes.items():
        torch.save([1, 2] if change is None else checkpoint | change, folder / f'{name}.pth')
    with zipfile.ZipFile(folder / 'zip.pth', 'w') as archive:
        archive.writestr('readme.txt', 'nothing')
    (folder / 'folder.pth').mkdir()


class _Code:
    def __reduce__(self):
        return os.mkdir, ('CODE_HAS_RUN',)


def _write_odd(folder: Path) -> None:
    odd = folder / 'odd'
    (odd / 'file').write_text('a file')
    (odd / 'empty').touch()
    for name in ('folder', 'read_only'):
        (odd / name).mkdir()
    (odd / 'read_only' / 'inside.txt').write_text('inside')
    os.symlink('nowhere', odd / 'dead')
    os.symlink('loop', odd / 'loop')
    for name in ('zero', 'full', 'null'):
        os.symlink(f'/dev/{name}', odd / name)
    os.symlink('../images', odd / 'to_folder')
    os.symlink('../work/iter_2.pth', odd / 'to_checkpoint.pth')
    for ending in ('.py', '.pth', '.json', '.safetensors', '.jpg', '.mp4'):
        os.mkfifo(folder / 'links' / f'pipe{ending}')
        os.symlink('/dev/zero', folder / 'links' / f'zero{ending}')
        os.symlink('nowhere', folder / 'links' / f'dead{ending}')
        with open(folder / 'links' / f'sparse{ending}', 'wb') as file:
            file.truncate(1 << 40)
    os.mkfifo(odd / 'pipe')
    here = os.getcwd()
    os.chdir(odd)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind('socket')
    os.chdir(here)
    (odd / 'read_only').chmod(0o555)


if __name__ == '__main__':
    sys.stdout.write(f'{make_box(Path(sys.argv[1]).absolute())}\n')
