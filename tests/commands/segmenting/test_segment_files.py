"""Inference: tools/infer.py's parts, and MMSegmentation's own API on our models."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS
from PIL import Image
from tool_runs import error_of, run_tool, write_config

from mmseg_vittm.commands.segmenting.segment_files import segment_files
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.inference.predictor import Predictor
from mmseg_vittm.weights.whole_model import load_model


@pytest.fixture(scope='module')
def model_files(tmp_path_factory):
    """A tiny config and a checkpoint of random weights, as the Runner would write it."""
    folder = tmp_path_factory.mktemp('model')
    config = write_config(folder)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(config).model)
    for weight in model.parameters():  # not the constant labels of a fresh model
        weight.data += 0.3 * torch.randn_like(weight)
    classes = [f'class {n}' for n in range(14)]
    meta = dict(dataset_meta=dict(classes=classes, palette=[[10 * n, 255 - 10 * n, n] for n in range(14)]))
    checkpoint = folder / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
    return str(config), str(checkpoint)


@pytest.fixture(scope='module')
def model(model_files):
    config, checkpoint = model_files
    return load_model(Config.fromfile(config), checkpoint, 'cpu')


@pytest.fixture
def photos(tmp_path):
    """Three pictures of different sizes and kinds."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (('a.png', (70, 90)), ('b.jpg', (64, 64)), ('a.jpg', (50, 120))):
        Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(folder / name)
    return folder


def test_folder(model, photos, tmp_path, capsys):
    segment_files(model, str(photos), str(tmp_path / 'out'))
    for folder in ('overlays', 'labels'):
        assert {path.name for path in (tmp_path / 'out' / folder).iterdir()} == {'a.png.png', 'b.jpg.png', 'a.jpg.png'}
    label = np.asarray(Image.open(tmp_path / 'out' / 'labels' / 'a.png.png'))
    assert label.dtype == np.uint8 and label.shape == (70, 90) and label.max() < 14
    assert np.array_equal(label, Predictor(model)(photos / 'a.png').labels)
    legend = Image.open(tmp_path / 'out' / 'overlays' / 'a.png.png')
    assert legend.size[0] > 90  # the legend stands beside the picture
    assert '3/3' in capsys.readouterr().out


def test_nothing_is_overwritten(model, photos, tmp_path):
    segment_files(model, str(photos / 'b.jpg'), str(tmp_path))
    with pytest.raises(InputError, match='b.jpg.png, .*: there already; .* overwrite=True'):
        segment_files(model, str(photos / 'b.jpg'), str(tmp_path))
    segment_files(model, str(photos / 'b.jpg'), str(tmp_path), overwrite=True)


def test_bad_inputs_are_named(model, tmp_path):
    (tmp_path / 'empty.jpg').touch()
    (tmp_path / 'text.png').write_text('no picture')
    (tmp_path / 'broken.mp4').write_text('no video')
    (tmp_path / 'notes.txt').touch()
    (tmp_path / 'folder').mkdir()
    for name in ('empty.jpg', 'text.png', 'broken.mp4', 'notes.txt', 'folder', 'none.jpg'):
        with pytest.raises(InputError, match=name):
            segment_files(model, str(tmp_path / name), str(tmp_path / 'out'))
    with pytest.raises(InputError, match='opacity'):
        segment_files(model, str(tmp_path), str(tmp_path / 'out'), opacity=2)


def test_video(model, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'clip.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (96, 64))
    for n in range(5):
        writer.write(np.full((64, 96, 3), 40 * n, np.uint8))
    writer.release()
    segment_files(model, str(tmp_path / 'clip.mp4'), str(tmp_path / 'out'))
    video = cv2.VideoCapture(str(tmp_path / 'out' / 'overlays' / 'clip.mp4.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5 and video.get(cv2.CAP_PROP_FPS) == 10
    assert len(list((tmp_path / 'out' / 'labels' / 'clip.mp4').iterdir())) == 5


def test_command_line(model_files, photos, tmp_path):
    done = run_tool('infer.py', *model_files, photos / 'b.jpg', '-o', tmp_path / 'out', '--device', 'cpu')
    assert (tmp_path / 'out' / 'overlays' / 'b.jpg.png').is_file() and 'ETA' in done.stdout


def test_keep_going(model, photos, tmp_path):
    folder, picture = tmp_path / 'mixed', photos / 'a.png'
    folder.mkdir()
    for n in (1, 3, 5):
        (folder / f'{n}.png').write_bytes(picture.read_bytes())
    (folder / '2.png').write_bytes(picture.read_bytes()[:80])
    (folder / '4.jpg').touch()
    (folder / '6.mp4').write_text('no video')
    with pytest.raises(InputError, match='2.png'):
        segment_files(model, str(folder), str(tmp_path / 'stopped'))
    with pytest.raises(InputError) as caught:
        segment_files(model, str(folder), str(tmp_path / 'out'), keep_going=True)
    assert str(caught.value).startswith('3 of 6 inputs failed')
    assert all(name in str(caught.value) for name in ('2.png', '4.jpg', '6.mp4'))
    assert sorted(path.name for path in (tmp_path / 'out' / 'labels').iterdir()) == [
        '1.png.png', '3.png.png', '5.png.png']
    with pytest.raises(InputError, match='1 of 1 inputs failed'):
        segment_files(model, str(folder / '6.mp4'), str(tmp_path / 'out'), overwrite=True, keep_going=True)


def test_keep_going_from_the_command_line(model_files, photos, tmp_path):
    (photos / 'bad.png').write_text('no picture')
    done = run_tool('infer.py', *model_files, photos, '-o', tmp_path / 'out', '--device', 'cpu', '--keep-going',
                    succeeds=False)
    assert 'bad.png' in error_of(done) and '1 of 4' in error_of(done)
    assert (tmp_path / 'out' / 'labels' / 'b.jpg.png').is_file()
    done = run_tool('infer.py', *model_files, photos / 'b.jpg', '-o', tmp_path / 'out', '--device', 'cpu',
                    succeeds=False)
    assert 'b.jpg.png: there already' in error_of(done) and error_of(done).endswith('--overwrite')


@pytest.mark.slow
def test_compiled(model_files, photos, tmp_path):
    """On images of three sizes, for all of which one graph is compiled, the labels of the model as it is."""
    config, checkpoint = model_files
    done = run_tool('infer.py', config, checkpoint, photos, '-o', tmp_path / 'compiled', '--device', 'cpu', '--compile')
    assert (done.stdout + done.stderr).count('Compiling for any number of windows') == 1
    run_tool('infer.py', config, checkpoint, photos, '-o', tmp_path / 'plain', '--device', 'cpu')
    for path in (tmp_path / 'plain' / 'labels').iterdir():
        expected = np.asarray(Image.open(path))
        got = np.asarray(Image.open(tmp_path / 'compiled' / 'labels' / path.name))
        assert len(np.unique(expected)) > 1 and (got == expected).mean() >= 0.999


def test_mmseg_api(model_files, photos):
    config, checkpoint = model_files
    model = init_model(config, checkpoint, device='cpu')
    ours = load_model(Config.fromfile(config), checkpoint, 'cpu')
    assert model.dataset_meta['classes'] == ours.dataset_meta['classes']
    paths = [str(photos / 'b.jpg')] * 2
    one = inference_model(model, paths[0])
    assert one.pred_sem_seg.data.shape == (1, 64, 64)
    assert torch.equal(one.pred_sem_seg.data, inference_model(ours, paths[0]).pred_sem_seg.data)
    assert all(torch.equal(result.pred_sem_seg.data, one.pred_sem_seg.data) for result in inference_model(model, paths))
    array = cv2.imread(paths[0])
    assert torch.equal(inference_model(model, array).pred_sem_seg.data, one.pred_sem_seg.data)


def test_inferencer(model_files, photos, tmp_path):
    config, checkpoint = model_files
    inferencer = MMSegInferencer(model=config, weights=checkpoint, device='cpu')
    result = inferencer(str(photos / 'b.jpg'), out_dir=str(tmp_path), show=False)
    assert result['predictions'].shape == (64, 64) and (tmp_path / 'vis' / 'b.jpg').is_file()


def test_strange_checkpoints_are_refused(model_files, tmp_path):
    config = Config.fromfile(model_files[0])
    marker = tmp_path / 'marker'

    class Malicious:
        def __reduce__(self):
            return exec, (f'open({str(marker)!r}, "w").close()',)

    good = torch.load(model_files[1], weights_only=True)
    for name, content in (('code', dict(good, more=Malicious())), ('list', [1]), ('bare', good['state_dict'])):
        path = tmp_path / f'{name}.pth'
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=name):
            load_model(config, str(path), 'cpu')
    assert not marker.exists()
    partial = dict(good, state_dict={k: v for k, v in good['state_dict'].items() if 'decode_head' not in k})
    torch.save(partial, tmp_path / 'partial.pth')
    with pytest.raises(CheckpointError, match='decode_head.cls_emb'):
        load_model(config, str(tmp_path / 'partial.pth'), 'cpu')
