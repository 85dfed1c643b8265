"""Weight files that are damaged, malicious or no weights at all: one error that names the file, no code run."""
import importlib
import io
import os
import re
import tarfile
import zipfile

import pytest
import torch
from malicious_files import FORMS, attacks, save_as
from mmseg.registry import MODELS
from safetensors.torch import save_file
from tiny_models import TINY

from mmseg_vittm import trust_checkpoints
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.files import read_weights_file
from mmseg_vittm.weights.state_dicts import read_state_dict


def refuse(path) -> str:
    """The error of the whole way, from init_cfg; the same as that of reading alone."""
    backbone = MODELS.build(dict(type='ViTTM', arch=TINY, img_size=56,
                                 init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    with pytest.raises(CheckpointError) as error:
        backbone.init_weights()
    assert str(path) in str(error.value) and '\n' not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize('nested', [False, True], ids=['bare', 'in_a_state_dict'])
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', attacks(''))
def test_malicious_files_run_nothing(name, form, nested, tmp_path):
    marker = tmp_path / 'marker'
    payload, asked_for = attacks(marker)[name]
    content = {'state_dict': {'weight': torch.zeros(2)}, 'meta': payload} if nested else payload
    for ending in ('.pth', '.safetensors', '.SafeTensors', ''):
        message = refuse(save_as(content, tmp_path / f'bad{ending}', form))
        # While it is read, not afterwards; by the name of what it asks for.
        named = f'{asked_for}|torch.storage._load_from_bytes'  # how tensors pickle themselves without torch.save
        assert 'cannot be loaded' in message and re.search(named, message), message
        assert not marker.exists()


def test_the_attack_would_work_on_an_unsafe_reader(tmp_path):
    """The payloads above are real: without weights_only the marker is there."""
    torch.save(attacks(tmp_path / 'marker')['system'][0], tmp_path / 'bad.pth')
    torch.load(tmp_path / 'bad.pth', weights_only=False)
    assert (tmp_path / 'marker').exists()


def good_bytes() -> bytes:
    buffer = io.BytesIO()
    torch.save({f'weight{i}': torch.randn(50, 50) for i in range(8)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize('share', [0.01, 0.3, 0.7, 0.99])
def test_truncated_pth(share, tmp_path):
    content = good_bytes()
    (tmp_path / 'cut.pth').write_bytes(content[:int(len(content) * share)])
    refuse(tmp_path / 'cut.pth')


@pytest.mark.parametrize('share', [0.001, 0.3, 0.99])
def test_truncated_safetensors(share, tmp_path):
    path = tmp_path / 'cut.safetensors'
    save_file({'weight': torch.randn(100, 100)}, path)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    refuse(path)


def test_zip_that_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / 'photos.pth', 'w') as archive:
        archive.writestr('photo.txt', 'hello')
    refuse(tmp_path / 'photos.pth')


@pytest.mark.parametrize('ending', ['.pth', '.safetensors', '.pt', ''])
@pytest.mark.parametrize('content', [b'', b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n',
                                     b'<!DOCTYPE html><html>404</html>', bytes(range(256)) * 8],
                         ids=['empty', 'lfs_pointer', 'html', 'noise'])
def test_files_that_are_no_checkpoints(content, ending, tmp_path):
    path = tmp_path / f'file{ending}'
    path.write_bytes(content)
    refuse(path)


def compressed(name: str) -> bytes:
    return importlib.import_module(name).compress(good_bytes())


def zipped(**records: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in records.items():
            archive.writestr(f'model/{name}', content)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        member = tarfile.TarInfo('iter_1.pth')
        member.size = 1000
        archive.addfile(member, io.BytesIO(bytes(1000)))
    return buffer.getvalue()


LFS = b'version https://git-lfs.github.com/spec/v1\noid sha256:' + b'4d7a2146' * 8 + b'\nsize 12345\n'
OTHERS = {
    'git-lfs': (LFS, 'a git-lfs pointer', 'git lfs pull'),
    'git-lfs, of Windows': (LFS.replace(b'\n', b'\r\n'), 'a git-lfs pointer', 'git lfs pull'),
    'page': (b'\n  <!DOCTYPE html><html>404</html>', 'a web page', 'download'),
    'page in capitals': (b'<HTML><BODY>Sign in</BODY></HTML>', 'a web page', 'download'),
    'answer of a server': (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'a web page', 'download'),
    'json': (b'{"message": "Not Found"}', 'a text file', 'checkpoint itself'),
    'nothing': (b'', 'empty (0 bytes)', 'again'),
    'zeros': (bytes(10_000), 'zeros', 'again'),
    'gzip': (compressed('gzip'), 'a gzip archive', 'unpack'),
    'xz': (compressed('lzma'), 'an xz archive', 'unpack'),
    'bzip2': (compressed('bz2'), 'a bzip2 archive', 'unpack'),
    'tar': (tarred(), 'a tar archive', 'unpack'),
    'half a file of torch.save': (good_bytes()[:10_000], 'end is missing', ''),
    'zip': (zipped(**{'photo.txt': b'hello'}), 'a zip archive', 'no data.pkl'),
    'TorchScript': (zipped(**{'data.pkl': b'c__torch__.Model\nNet\n)\x81.', 'constants.pkl': b').'}),
                    'TorchScript', 'state_dict'),
    'ONNX': (b'\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x80\x01' + bytes(range(256)), 'an ONNX model', ''),
    'config': (b"_base_ = ['../base.py']\nmodel = dict(type='EncoderDecoder')\n", 'a text file', ''),
    'config of long lines': (('# größer\n' * 2000).encode(), 'a text file', ''),
    'image': (b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'an image', ''),
    'noise': (bytes(range(255, -1, -1)) * 20, 'damaged', 'again')}


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
@pytest.mark.parametrize('name', OTHERS)
def test_what_else_a_file_is(name, ending, tmp_path):
    """By name, with the remedy; and without advice to trust what no trust makes a checkpoint."""
    content, *words = OTHERS[name]
    path = tmp_path / f'file{ending}'
    path.write_bytes(content)
    message = refuse(path)
    assert all(word in message for word in words) and 'trust' not in message and 'code' not in message, message


def test_neither_devices_nor_pipes_are_opened(tmp_path):
    """They may never end, or never begin."""
    os.mkfifo(tmp_path / 'pipe.pth')
    (tmp_path / 'zero.pth').symlink_to('/dev/zero')
    (tmp_path / 'round.pth').symlink_to(tmp_path / 'round.pth')
    for name, words in (('pipe.pth', 'a device or a pipe'), ('zero.pth', 'a device or a pipe'), ('.', 'a folder'),
                        ('round.pth', 'no such checkpoint file'), ('x' * 300, 'no such checkpoint file'),
                        ('pipe.pth/below', 'no such checkpoint file')):
        assert words in refuse(tmp_path / name)
    for path in ('~nobody-here/x.pth', '~a.pth', 'zero\0byte.pth', ''):
        with pytest.raises(CheckpointError, match='no such checkpoint file'):
            read_weights_file(path)


def test_plain_data_of_another_protocol_may_be_trusted(tmp_path):
    """Where trust does help, the advice stays."""
    torch.save({'weight': torch.ones(2), 'more': {'plain': [1, 2]}}, tmp_path / 'four.pth', pickle_protocol=4)
    assert 'trust_checkpoints()' in refuse(tmp_path / 'four.pth')
    with trust_checkpoints():
        assert read_weights_file(tmp_path / 'four.pth')['more'] == {'plain': [1, 2]}
        for name in ('git-lfs', 'half a file of torch.save', 'noise', 'config'):
            (tmp_path / 'bad.pth').write_bytes(OTHERS[name][0])
            with pytest.raises(CheckpointError) as error:
                read_weights_file(tmp_path / 'bad.pth')
            assert 'trust' not in str(error.value) and '\n' not in str(error.value)


def test_missing_file_and_folder(tmp_path):
    assert 'no such checkpoint file' in refuse(tmp_path / 'missing.pth')
    assert 'no such checkpoint file' in refuse(tmp_path)
    with pytest.raises(CheckpointError, match='no such checkpoint file'):
        read_weights_file('https://example.invalid/weights.pth')  # nothing is downloaded


@pytest.mark.parametrize('content,message', [
    ([torch.zeros(2)], 'no weights in this file'),
    (torch.zeros(2), 'no weights in this file'),
    ({}, 'no weights in this file'),
    ({'state_dict': {}}, 'no weights in this file'),
    ({'state_dict': {}, 'meta': {'iter': 3}}, 'no weights in this file'),
    ({'n_averaged': torch.tensor(3)}, 'no weights in this file'),
    (None, 'no weights in this file'),
    ({'epoch': 3, 'lr': 0.1}, 'epoch, lr'),
    ({'weight': torch.zeros(2), 'epoch': 3}, 'epoch'),
    ({'weights': {'a': torch.zeros(2)}}, 'weights'),
    ({f'entry{i}': i for i in range(20)}, r'entry7 \.\.\.'),
    ({'state_dict': {'weight': [1.0, 2.0]}}, 'weight'),
    ({0: torch.zeros(2), 1: torch.zeros(2)}, ''),
    ({'state_dict': {0: torch.zeros(2)}}, ''),
    ({'weight': torch.zeros(2)}, "neither .*, nor the authors' ViTTM checkpoint .no 'process_pos_embed'.; it begins w"),
], ids=str)
def test_files_without_weights_of_ours(content, message, tmp_path):
    torch.save(content, tmp_path / 'other.pth')
    assert re.search(message, refuse(tmp_path / 'other.pth'))


def test_home_folder_and_pathlike(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save({'weight': torch.ones(2)}, tmp_path / 'w.pth')
    assert torch.equal(read_state_dict('~/w.pth')[0]['weight'], torch.ones(2))
    assert read_state_dict(tmp_path / 'w.pth')[1] == ''
