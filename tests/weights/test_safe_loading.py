"""Checkpoints through mmengine, mmseg's API and our loaders: no code run, whole or refused, ways out explicit."""
import contextlib
import functools
import http.server
import io
import json
import struct
import threading
from collections import OrderedDict

import numpy as np
import pytest
import torch
from malicious_files import FORMS, attacks, code_in_configs, save_as
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint
from mmseg.apis import MMSegInferencer, init_model
from mmseg.registry import MODELS
from safetensors.torch import save_file

import mmseg_vittm
from mmseg_vittm.engine.runner import StrictRunner
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.weights.convert import convert_checkpoint
from mmseg_vittm.weights.files import read_weights_file
from mmseg_vittm.weights.whole_model import load_model, load_model_weights, read_checkpoint

META = dict(classes=[f'class {n}' for n in range(14)], palette=[[n, n, n] for n in range(14)])


@pytest.fixture(scope='module')
def good(config) -> dict:
    """A checkpoint's content, as the Runner would save it."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(config).model)
    text = Config.fromfile(config).pretty_text
    return dict(state_dict=model.state_dict(), meta=dict(cfg=text, iter=4, epoch=0, dataset_meta=META),
                message_hub=dict(log_scalars={'loss': HistoryBuffer([1.0], [1])}, runtime_info=dict(cfg=text),
                                 resumed_keys={}))


def save(content, path) -> str:
    torch.save(content, path)
    return str(path)


def refused(call, *words: str) -> str:
    with pytest.raises(CheckpointError) as error:
        call()
    message = str(error.value)
    assert '\n' not in message and all(word in message for word in words), message
    return message


WAYS = dict(
    read=lambda config, path: read_checkpoint(path),
    load_model=lambda config, path: load_model(Config.fromfile(config), path, 'cpu'),
    init_model=lambda config, path: init_model(config, path, device='cpu'),
    inferencer=lambda config, path: MMSegInferencer(model=config, weights=path, device='cpu'),
    mmengine=lambda config, path: load_checkpoint(torch.nn.Linear(2, 2), path),
    convert=lambda config, path: convert_checkpoint(path, f'{path}.safetensors'),
    init_cfg=lambda config, path: MODELS.build(dict(
        type='ViTTM', arch='tiny', img_size=64, init_cfg=dict(type='Pretrained', checkpoint=path))).init_weights(),
    init_cfg_of_others=lambda config, path: MODELS.build(dict(
        type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint=path))).init_weights())


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('way', WAYS)
def test_no_way_runs_code(way, form, config, good, tmp_path, mmseg_scope):
    payload, asked_for = attacks(tmp_path / 'marker')['system']
    path = save_as(dict(good, optimizer=payload), tmp_path / 'bad.pth', form)
    refused(lambda: WAYS[way](config, str(path)), str(path), *([asked_for] if form != 'pickle' else ['it asks for']))
    assert not (tmp_path / 'marker').exists()


@pytest.mark.parametrize('place', ['config', 'cfg', 'runtime_info'])
@pytest.mark.parametrize('name', code_in_configs(''))
def test_code_in_configs_is_never_run(name, place, config, good, tmp_path, mmseg_scope):
    """Configs that a checkpoint carries as text stay text: no way runs them, resuming included."""
    text, _ = code_in_configs(tmp_path / 'marker')[name]
    content = dict(good, meta=dict(good['meta']))
    if place == 'runtime_info':
        content['message_hub'] = dict(good['message_hub'], runtime_info=dict(cfg=text))
    else:
        content['meta'][place] = text
    path = save(content, tmp_path / 'bad.pth')
    for way in WAYS.values():
        with contextlib.suppress(CheckpointError):  # a ViTTM's weights do not fit the ResNet among them
            way(config, path)
    refused(lambda: MMSegInferencer(model=None, weights=path, device='cpu'), path)
    cfg = Config.fromfile(config)
    cfg.work_dir = str(tmp_path)
    for kind in (Runner, StrictRunner):
        runner = kind.from_cfg(cfg)
        with contextlib.suppress(CheckpointError, KeyError):  # there is no optimizer's state to go on with
            runner.resume(path)
        assert runner.iter == 4  # so far it came
    assert not (tmp_path / 'marker').exists()


def test_the_configs_would_run(tmp_path):
    """The texts above are programs, which mmengine runs where it takes a config."""
    for text, _ in code_in_configs(tmp_path / 'marker').values():
        compile(text, 'config', 'exec')
    exec(code_in_configs(tmp_path / 'marker')['called'][0])
    assert (tmp_path / 'marker').exists()


def test_a_config_that_resuming_would_run_is_left_out(good, tmp_path):
    content = dict(good, meta=dict(good['meta'], config='gpu_ids = range(0, 4)'))
    assert 'config' not in read_checkpoint(save(content, tmp_path / 'old.pth'))['meta']


@pytest.mark.parametrize('text', [
    "model = dict(type='subprocess.Popen', args='touch {}', shell=True)", 'x = dict(a="{}")'])
def test_inferencers_need_a_config(text, good, tmp_path):
    """Even a config of nothing but data is a program: a type is anything that can be imported."""
    marker = tmp_path / 'marker'
    content = dict(good, meta=dict(cfg=text.format(str(marker))), message_hub={})
    path = save(content, tmp_path / 'bad.pth')
    refused(lambda: MMSegInferencer(model=None, weights=path, device='cpu'), path)
    assert not marker.exists()


def test_trusted_inferencers_need_none(good, tmp_path):
    path = save(good, tmp_path / 'good.pth')
    with mmseg_vittm.trust_checkpoints():
        inferencer = MMSegInferencer(model=None, weights=path, device='cpu')
    state = inferencer.model.state_dict()
    assert all(torch.equal(state[name], weight) for name, weight in good['state_dict'].items())


def test_ways_out_are_explicit(tmp_path, log_lines):
    marker = tmp_path / 'marker'
    path = save(dict(state_dict={}, meta=attacks(marker)['system'][0]), tmp_path / 'bad.pth')
    with mmseg_vittm.trust_checkpoints():
        assert read_weights_file(path)['state_dict'] == {}
    assert marker.exists() and len(log_lines.of('WARNING')) == 1 and path in log_lines.of('WARNING')[0]
    marker.unlink()
    refused(lambda: read_weights_file(path), 'mmseg_vittm.trust_checkpoints()')
    mmseg_vittm.trust_checkpoints()
    disguised = save_as(attacks(marker)['system'][0], tmp_path / 'bad.safetensors', 'zip')
    refused(lambda: read_weights_file(disguised), 'posix.system')  # its name promises tensors
    mmseg_vittm.trust_checkpoints(False)
    refused(lambda: read_weights_file(path))
    assert not marker.exists()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves a folder over HTTP; returns the folder and the address."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    folder = tmp_path / 'served'
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield folder, f'http://127.0.0.1:{httpd.server_port}'
        httpd.shutdown()


def test_downloads_are_read_as_safely(server, tmp_path, good, config):
    folder, address = server
    payload, asked_for = attacks(tmp_path / 'marker')['system']
    save(payload, folder / 'bad.pth')
    save(good, folder / 'good.pth')
    module = torch.nn.Linear(2, 2)
    refused(lambda: load_checkpoint(module, f'{address}/bad.pth'), asked_for)
    refused(lambda: load_checkpoint(module, f'{address}/none.pth'), f'{address}/none.pth', 'download')
    refused(lambda: load_checkpoint(module, 'pavi://model.pth'), 'pavi://model.pth', 'download')
    refused(lambda: WAYS['init_cfg'](config, f'{address}/good.pth'), f'{address}/good.pth', 'download')
    assert load_model(Config.fromfile(config), f'{address}/good.pth', 'cpu').dataset_meta == META
    assert not (tmp_path / 'marker').exists()


def test_good_files_load_as_ever(config, good, tmp_path):
    """Files of all kinds that mmengine takes, at the same `map_location`, to the same results."""
    path, bare = save(good, tmp_path / 'good.pth'), save(good['state_dict'], tmp_path / 'bare.pth')
    save_file(good['state_dict'], tmp_path / 'good.safetensors', {'dataset_meta': json.dumps(META)})
    for name in (path, str(tmp_path / 'good.safetensors')):
        model = init_model(config, name, device='cpu')
        assert model.dataset_meta == META
        assert all(torch.equal(weight, good['state_dict'][key]) for key, weight in model.state_dict().items())
        inferencer = MMSegInferencer(model=config, weights=name, device='cpu')
        assert torch.equal(inferencer.model.decode_head.cls_emb, good['state_dict']['decode_head.cls_emb'])
    loaded = load_checkpoint(model, bare, map_location='meta')
    assert list(loaded) == list(good['state_dict']) and all(tensor.is_meta for tensor in loaded.values())
    assert torch.load(path, weights_only=False)['meta'] == load_checkpoint(model, path)['meta']


def test_safetensors_by_content(good, tmp_path):
    save_file(good['state_dict'], tmp_path / 'weights.pth')
    assert read_checkpoint(str(tmp_path / 'weights.pth'))['state_dict'].keys() == good['state_dict'].keys()
    refused(lambda: read_weights_file(save_as(good, tmp_path / 'zip.safetensors', 'zip')), 'no .safetensors file')


def test_what_does_not_fit_is_named_and_counted(config, good, tmp_path, log_lines):
    cfg, state = Config.fromfile(config), good['state_dict']
    heads = [name for name in state if name.startswith('decode_head.')]
    cases = dict(
        missing={name: weight for name, weight in state.items() if name not in heads},
        unexpected=state | {f'neck.{n}.weight': torch.zeros(1) for n in range(7)},
        shape=state | {heads[0]: torch.zeros(3, 5)}, kind=state | {heads[0]: torch.zeros(state[heads[0]].shape).int()})
    words = dict(missing=(f'missing ({len(heads)}): {heads[0]}', ', ...'),
                 unexpected=('unexpected (7): neck.0.weight',),
                 shape=(f'of another shape (1): {heads[0]} (3, 5), here',),
                 kind=(f'of another shape (1): {heads[0]} integer',))
    runner = StrictRunner(model=MODELS.build(dict(cfg.model, _scope_='mmseg')), work_dir=str(tmp_path),
                          default_scope='mmseg', experiment_name='partial')
    for name, case in cases.items():
        path = save(dict(good, state_dict=case), tmp_path / f'{name}.pth')
        runner.allow_partial = False
        message = refused(lambda path=path: load_model(cfg, path, 'cpu'), path, 'allow_partial=True', *words[name])
        assert len(message) < 1500
        refused(lambda path=path: runner.load_checkpoint(path), path, *words[name])
        log_lines.clear()
        model = load_model(cfg, path, 'cpu', allow_partial=True)
        assert path in log_lines.of('WARNING')[0] and words[name][0] in log_lines.of('WARNING')[0]
        key = 'backbone.encoder.blocks.0.read_norm.weight'
        assert torch.equal(model.state_dict()[key], state[key])
        runner.allow_partial = True
        runner.load_checkpoint(path)
        assert len(log_lines.of('WARNING')) == 2


@pytest.mark.parametrize('content,words', [
    (dict(state_dict={}, meta={}), 'no weights'), ({}, "no 'state_dict'"),
    (dict(state_dict=[1], meta={}), "no 'state_dict'"),
    (dict(state_dict={'a': torch.ones(1)}), "no 'meta'"), (dict(state_dict={'a': torch.ones(1)}, meta=[1]), 'no dict'),
    *((dict(state_dict={'a': torch.ones(1)}, meta={'dataset_meta': meta}), 'dataset_meta') for meta in (
        'x', dict(classes=[1], palette=[]), dict(classes=['a'], palette=[[1, 2]]), dict(classes='a'),
        dict(palette=[[1, 2, 300]]), dict(palette=5))),
    (dict(state_dict={1: torch.ones(1)}, meta={}), 'none: a int'), (dict(state_dict={'a': 1}, meta={}), 'none: a'),
    (dict(state_dict={'a': torch.ones(1, device='meta')}, meta={}), 'none: a'),
    (dict(state_dict={'a': torch.ones(1).to_sparse()}, meta={}), 'none: a'),
    (dict(state_dict={'no\nname\x1b[31m': 1}, meta={}), r"'no\nname\x1b[31m'"),
    (dict(state_dict={'a': torch.ones(1)}, meta={}), 'missing ('),
], ids=str)
def test_strange_contents(content, words, config, tmp_path):
    path = save(content, tmp_path / 'strange.pth')
    refused(lambda: load_model(Config.fromfile(config), path, 'cpu'), path, words)
    if words != "no 'meta'":
        refused(lambda: load_model(Config.fromfile(config), path, 'cpu', allow_partial=True), path)


def test_without_meta_only_in_part(config, good, tmp_path):
    path = save(dict(state_dict=good['state_dict']), tmp_path / 'weights.pth')
    refused(lambda: load_model(Config.fromfile(config), path, 'cpu'), "no 'meta'", 'allow_partial=True')
    assert len(load_model(Config.fromfile(config), path, 'cpu', allow_partial=True).dataset_meta['classes']) == 14


def safetensors(header: bytes, data: bytes = b'', length: int | None = None) -> bytes:
    return struct.pack('<Q', len(header) if length is None else length) + header + data


WEIGHT = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize('content', [
    safetensors(b'{' + WEIGHT, b'\0' * 4, 2**63), safetensors(b'{' + WEIGHT + b'}', b'\0' * 4, 2**40),
    safetensors(b'[' * 100000 + b']' * 100000), safetensors(b'{"a":' * 100000 + b'}' * 100000),
    safetensors(b'{"a":{"dtype":"F32","shape":[18446744073709551615,9],"data_offsets":[0,4]}}', b'\0' * 4),
    safetensors(b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}', b'\0' * 4),
    safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', b'\0' * 4),
    safetensors(b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}', b'\0' * 4),
    safetensors(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b'\0' * 4),
    safetensors(b'{"__metadata__":{"dataset_meta":1},' + WEIGHT + b'}', b'\0' * 4),
    safetensors(b'{"__metadata__":{"dataset_meta":"{"},' + WEIGHT + b'}', b'\0' * 4),
    safetensors(b'{"__metadata__":{"dataset_meta":"NaN"},' + WEIGHT + b'}', b'\0' * 4),
    safetensors(b'{"__metadata__":{"dataset_meta":"{\\"classes\\": [\\"a\\"], \\"palette\\": [[NaN, 0, 0]]}"},' + WEIGHT
                + b'}', b'\0' * 4),
    safetensors(b'{"__metadata__":{"dataset_meta":"' + b'[' * 100000 + b'"},' + WEIGHT + b'}', b'\0' * 4),
    safetensors(b'{"__metadata__":[],' + WEIGHT + b'}', b'\0' * 4), safetensors(b'{}'),
    safetensors(b'{' + WEIGHT + b'}', b'\0' * 9), safetensors(b'{' + WEIGHT + b'}', b'\0' * 3),
    safetensors(b'{"a\xff":1}'), b'{', b'\0' * 8 + b'{',
], ids=lambda content: '')
def test_safetensors_headers(content, tmp_path):
    for ending in ('.safetensors', '.pth'):
        path = tmp_path / f'bad{ending}'
        path.write_bytes(content)
        refused(lambda path=path: read_checkpoint(str(path)), str(path))


def test_duplicate_names_in_a_header(tmp_path):
    path = tmp_path / 'twice.safetensors'
    path.write_bytes(safetensors(b'{' + WEIGHT + b',' + WEIGHT + b'}', b'\0' * 4))
    try:
        assert list(read_checkpoint(str(path))['state_dict']) == ['a']
    except CheckpointError as error:
        assert str(path) in str(error)


class Reduced:
    """Pickles to a call, and to a state for what the call returns."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def numpy_array(name, shape, state_of_dtype, data):
    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    dtype = Reduced(np.dtype, (name, False, True), state_of_dtype)
    return Reduced(multiarray._reconstruct, (np.ndarray, (0,), b'b'), (1, shape, dtype, False, data))


PLAIN = (3, '<', None, None, None, -1, -1, 0)


@pytest.mark.parametrize('payload', [
    numpy_array('O8', (1,), (3, '|', None, None, None, -1, -1, 0), b'\x01' * 8),  # bytes as pointers
    numpy_array('f8', (10**9,), PLAIN, b'\0' * 8), numpy_array('f8', (-1,), PLAIN, b''),
    numpy_array('V8', (1,), (3, '|', None, ('a',), {'a': (1, 2)}, 8, 1, 0), b'\0' * 8),
    numpy_array('f8', 'shape', PLAIN, b'\0' * 8), numpy_array('f8', (1,), PLAIN, 'text'),
    numpy_array('f8', (1,), 3, b'8' * 8),
    numpy_array(5, (1,), PLAIN, b'\0' * 8), Reduced(HistoryBuffer, (), dict(_log_history=5, max_length=3)),
    Reduced(OrderedDict, (), dict(_metadata=5)),
    Reduced(OrderedDict, (), dict(_metadata={'': {'version': 'x'}}))], ids=lambda content: '')
def test_arrays_and_buffers_do_not_believe_the_file(payload, good, tmp_path):
    methods = dict(HistoryBuffer._statistics_methods)
    refused(lambda: read_checkpoint(save(dict(good, more=payload), tmp_path / 'bad.pth')), 'bad.pth')
    assert HistoryBuffer._statistics_methods == methods


def test_files_do_not_change_methods(good, tmp_path):
    methods = dict(HistoryBuffer._statistics_methods)
    state = dict(_log_history=np.ones(1), _count_history=np.ones(1), max_length=9,
                 statistics_methods=dict(min=3, new=4))
    poisoned = Reduced(OrderedDict, (), dict(items=5, copy=5), None, iter(good['state_dict'].items()))
    content = dict(good, state_dict=poisoned, more=Reduced(HistoryBuffer, (), state))
    checkpoint = read_checkpoint(save(content, tmp_path / 'strange.pth'))
    assert HistoryBuffer._statistics_methods == methods and checkpoint['more'].statistics('min') == 1
    state = checkpoint['state_dict']
    assert not vars(state) and [name for name, _ in state.items()] == list(good['state_dict'])


def test_the_first_buffer_of_a_process_may_come_from_a_file(good, tmp_path, run_python):
    path = save(good, tmp_path / 'good.pth')
    done = run_python(f"""
import mmseg_vittm
from mmseg_vittm.weights.files import read_weights_file
assert read_weights_file({path!r})['message_hub']['log_scalars']['loss'].statistics('mean') == 1
""")
    assert done.returncode == 0, done.stderr


def test_containers_that_hold_themselves(good, tmp_path):
    circle, deep = [], []
    circle.append(circle)
    for _ in range(300):
        deep = [deep]
    for value in (circle, deep):
        path = save(dict(good, more=value), tmp_path / 'bad.pth')
        refused(lambda path=path: read_checkpoint(path), 'hold themselves')
    laughs = 'ha'
    for _ in range(100):
        laughs = (laughs, laughs)
    path = save(dict(good, more=laughs), tmp_path / 'laughs.pth')
    refused(lambda: read_checkpoint(path), 'stands for more than')  # whose text or comparison would never end
    shared = [{'a': n} for n in range(100)]
    assert read_checkpoint(save(dict(good, more=[shared] * 100), tmp_path / 'shared.pth'))['more'][99] == shared


def test_what_only_takes_memory_is_refused_unread(tmp_path, run_python):
    """torch allows bytearray, of any size: 3 GB from a kilobyte."""
    path = save({'state_dict': {'a': torch.ones(1)}, 'more': Reduced(bytearray, (3 * 10**9,))}, tmp_path / 'bomb.pth')
    done = run_python(f"""
import resource
from mmseg_vittm.weights.files import read_weights_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_weights_file({path!r})
except RuntimeError as error:
    print('builtins.bytearray' in str(error), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19)
""")
    assert done.stdout.split() == ['True', 'True'], done.stdout + done.stderr


def test_small_things_that_checkpoints_hold(good, tmp_path):
    more = {np.dtype('f4'): 1, (np.dtype('i8'), 2): np.zeros(0), 'empty': b'', 'kind': np.dtype('<u2')}
    read = read_checkpoint(save(dict(good, more=more), tmp_path / 'more.pth'))['more']
    assert list(read)[:2] == [np.dtype('f4'), (np.dtype('i8'), 2)] and read['kind'] == np.dtype('u2')
    assert read['empty'] == b'' and type(read[np.dtype('i8'), 2]) is np.ndarray


def test_tensors_larger_than_their_file(tmp_path):
    """Torch's own reader makes them, of whatever is in memory."""
    def saved(payload, name):
        return save({'state_dict': {'a': payload}, 'meta': {}}, tmp_path / name)
    made = saved(Reduced(torch.FloatTensor, (10**6,)), 'made.pth')
    assert torch.load(made)['state_dict']['a'].shape == (10**6,)
    refused(lambda: read_weights_file(made), 'it calls torch.FloatTensor')
    storage = torch.zeros(2).storage()
    arguments = storage, 0, (10**6,), (1,), False, OrderedDict()
    grown = saved(Reduced(torch._utils._rebuild_tensor_v2, arguments), 'grown.pth')
    refused(lambda: read_weights_file(grown), 'larger than the file')


@pytest.mark.parametrize('name', ['.data/serialization_id', 'data/0', 'data.pkl'])
def test_checksums_are_compared(name, tmp_path):
    buffer = io.BytesIO()
    torch.save({'state_dict': {'a': torch.full((8,), 1.25)}, 'meta': {}}, buffer)
    data = bytearray(buffer.getvalue())
    needle = {'data/0': struct.pack('<f', 1.25) * 2, 'data.pkl': b'state_dict'}.get(name)
    at = data.index(needle) if needle else data.index(b'serialization_id') + 80
    data[at] ^= 2
    (tmp_path / 'flipped.pth').write_bytes(data)
    if needle:
        refused(lambda: read_weights_file(tmp_path / 'flipped.pth'), 'checksum')


def test_stock_runner_runs_no_config(good, tmp_path):
    """Not ours alone: any Runner reads through the safe loader once it is switched on."""
    model = torch.nn.Linear(2, 2)
    runner = Runner(model=model, work_dir=str(tmp_path), experiment_name='stock', default_scope='mmseg')
    text = code_in_configs(tmp_path / 'marker')['called'][0]
    content = dict(state_dict=model.state_dict(), meta=dict(iter=1, config=text))
    assert 'config' not in runner.load_checkpoint(save(content, tmp_path / 'bad.pth'))['meta']
    assert not (tmp_path / 'marker').exists()


class OldNames(torch.nn.Linear):
    """A module that renames old weights as it loads them, and stumbles over one."""

    def _load_from_state_dict(self, state, prefix, *others):
        if f'{prefix}poison' in state:
            self.weight.data.zero_()
            raise KeyError('poison')
        if f'{prefix}old' in state:
            state[f'{prefix}weight'] = state.pop(f'{prefix}old')
        super()._load_from_state_dict(state, prefix, *others)


def test_a_module_is_untouched_where_loading_fails(config):
    for module in (torch.nn.Linear(2, 2), OldNames(2, 2), torch.nn.BatchNorm1d(2)):
        before = {name: weight.clone() for name, weight in module.state_dict().items()}
        for state in ({'bias': torch.ones(2)}, before | {'poison': torch.ones(1)}, before | {'bias': torch.ones(3)}):
            refused(lambda module=module, state=state: load_model_weights(module, state, 'https://host/x.pth'),
                    'https://host/x.pth')
            assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())
    load_model_weights(module := OldNames(2, 2), dict(old=torch.ones(2, 2), bias=torch.zeros(2)), 'x.pth')
    assert module.weight.sum() == 4


@pytest.mark.parametrize('device', ['gpu', 'cuda:99', 'mps'])
def test_no_such_device(device, config, good, tmp_path):
    with pytest.raises(InputError, match=f'device={device}'):
        load_model(config, save(good, tmp_path / 'good.pth'), device)
    with pytest.raises(InputError, match='none.py: no such config file'):
        load_model('none.py', 'x.pth')


def test_weights_of_wrapped_models_and_old_names():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state = {f'module.{name}': weight + 1 for name, weight in model.state_dict().items() if 'num_batches' not in name}
    load_model_weights(model, state, 'x.pth')
    assert torch.equal(model.state_dict()['0.bias'], state['module.0.bias'])
    refused(lambda: load_model_weights(model, {'a': torch.ones(1)}, 'x.pth', allow_partial=True), 'nothing in it fits')
