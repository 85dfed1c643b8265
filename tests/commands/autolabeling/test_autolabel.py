"""tools/autolabel.py: labels by their probability, a data set that configs read, gone on with, nothing lost."""
import json
import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from docs_pages import blocks
from filelock import FileLock
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from tool_runs import write_config

from mmseg_vittm.commands.autolabeling.kind import SetKind
from mmseg_vittm.commands.autolabeling.notes import Notes
from mmseg_vittm.commands.autolabeling.pseudo_set import PseudoSet
from mmseg_vittm.commands.autolabeling.report import snippet_of
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.datasets.camvid import CamVid
from mmseg_vittm.datasets.listing import datasets_of, list_samples
from mmseg_vittm.datasets.toy.scenes import ToyScenes
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.predictor import Predictor
from mmseg_vittm.weights.whole_model import load_model

SLIDE = "\nmodel.update(test_cfg=dict(_delete_=True, mode='slide', crop_size=(64, 64), stride=(40, 40)))\n"
NAMES = ('a.jpg', 'a.png', 'b.webp', 'inner/a.jpg', 'inner/deep/c.jpg')
WRITTEN = {'a.jpg': 'a', 'a.png': 'a.png', 'b.webp': 'b.webp', 'inner/a.jpg': 'inner/a',
           'inner/deep/c.jpg': 'inner/deep/c'}
THRESHOLD = 0.25


@pytest.fixture(scope='module')
def files(tmp_path_factory) -> tuple[str, str]:
    """A config of windows, and a checkpoint of random weights with the toy scenes' classes."""
    folder = tmp_path_factory.mktemp('model')
    config = write_config(folder, more=SLIDE)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(config).model)
    for weight in model.parameters():  # not the constant labels of a fresh model
        weight.data += 0.3 * torch.randn_like(weight)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=ToyScenes.METAINFO)), folder / 'model.pth')
    return str(config), str(folder / 'model.pth')


@pytest.fixture
def photos(tmp_path) -> Path:
    """Pictures of several sizes and kinds, in folders; what is hidden is none."""
    rng = np.random.default_rng(0)
    for number, name in enumerate((*NAMES, '.hidden.jpg', '.hidden/d.jpg')):
        path = tmp_path / 'photos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 255, (5, 6, 3), np.uint8).repeat(14 + number, axis=0).repeat(15, axis=1)
        Image.fromarray(blocks).save(path)
    (tmp_path / 'photos' / 'notes.txt').write_text('no image')
    return tmp_path / 'photos'


@pytest.fixture
def autolabel(monkeypatch, files, photos, tmp_path):
    """Runs the tool."""
    def run(*options, out=tmp_path / 'out', threshold=THRESHOLD):
        run_inside(monkeypatch, 'autolabel.py', *files, photos, '-o', out, '--threshold', threshold, *options)
        return out
    return run


@pytest.fixture
def error(monkeypatch, capsys, files, photos, tmp_path):
    """Runs the tool, which fails; returns the line."""
    def run(*options, folder=photos, out=tmp_path / 'out', threshold=THRESHOLD, files=files):
        return error_inside(monkeypatch, capsys, 'autolabel.py', *files, folder, '-o', out, '--threshold', threshold,
                            *options)
    return run


@pytest.fixture(autouse=True)
def no_picture(monkeypatch, request):
    """Leaves out the report's picture, which takes most of the time, but where it is looked at."""
    if request.function not in (test_report, test_all_images_are_bad):
        monkeypatch.setattr('mmseg_vittm.commands.autolabeling.report.coverage_files',
                            lambda *_: dict(png=b'', svg=b''))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def labels(out: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(out / 'annotations/training' / f'{WRITTEN[name]}.png'))


def test_labels_are_the_sure_ones(autolabel, files, photos):
    """Against logits of the whole size, the mean of windows, softmax'ed; label files number classes from 1."""
    before = contents(photos)
    out = autolabel()
    model = load_model(*files)
    model.test_cfg['with_logits'] = True
    kept = []
    for name in NAMES:
        image = np.asarray(Image.open(photos / name).convert('RGB'))
        data = Predictor(model).prepare(photos / name, name, Predictor(model).pipeline).data
        with torch.no_grad():
            sample, = model.test_step({key: [value] for key, value in data.items()})
        likely, found = sample.seg_logits.data.double().softmax(0).max(0)
        written = labels(out, name)
        assert written.dtype == np.uint8 and written.shape == image.shape[:2]
        clear = (likely - THRESHOLD).abs().numpy() > 1e-5
        expected = np.where(likely.numpy() >= THRESHOLD, found.numpy() + 1, 0)
        assert np.array_equal(written[clear], expected[clear])
        assert (out / 'images/training' / f'{WRITTEN[name]}.jpg').read_bytes() == before[name]
        kept.append((written > 0).mean())
    assert 0.1 < np.mean(kept) < 0.9
    assert contents(photos) == before
    assert len(contents(out / 'images')) == len(contents(out / 'annotations')) == len(NAMES)


def test_every_segmentor_says_the_same(files, photos):
    """MMSegmentation's own, whose results hold logits of the image's size."""
    config = Config.fromfile(files[0])
    found = []
    for kind in ('SlideSegmentor', 'EncoderDecoder'):
        config.model.type = kind
        found.append(Predictor(load_model(config, files[1]), with_confidence=True)(photos / 'a.png'))
    assert np.array_equal(found[0].labels, found[1].labels)
    np.testing.assert_allclose(found[0].confidence, found[1].confidence, atol=1e-5)
    assert Predictor(load_model(*files))(photos / 'a.png').confidence is None


def test_report(autolabel, capsys):
    out = autolabel()
    report = json.loads((out / 'report.json').read_text())
    every = [labels(out, name) for name in NAMES]
    counts = sum(np.bincount(one.reshape(-1), minlength=15) for one in every)
    assert [one['pixels'] for one in report['classes']] == counts[1:].tolist()
    assert [one['images'] for one in report['classes']] == [sum(bool((one == k).any()) for one in every)
                                                            for k in range(1, 15)]
    assert report['pixels'] == dict(labelled=int(counts[1:].sum()), ignored=int(counts[0]))
    shares = {f'{name}': float((one > 0).mean()) for name, one in zip(NAMES, every, strict=True)}
    assert report['coverage']['least'] == pytest.approx(shares, abs=1e-4)
    assert sum(report['coverage']['histogram']['images']) == report['images'] == len(NAMES)
    assert Image.open(out / 'report.png').width > 1000
    assert f'{len(NAMES)} images; labelled: {100 * report["coverage"]["all"]:.1f}%' in capsys.readouterr().out


@pytest.mark.parametrize(('kind', 'at'), [('between', 2), ('within', 1)])
def test_goes_on_where_it_stopped(autolabel, monkeypatch, tmp_path, at, kind):
    """Stopped before an image or while it is written: what is there is whole, and in the end all is the same."""
    whole = contents(autolabel(out=tmp_path / 'whole'))
    number, write, written = iter(range(99)), PseudoSet.write, []

    def stopping(self, image, *arguments):
        if next(number) == at:
            if kind == 'within':
                monkeypatch.setattr(Path, 'write_bytes', lambda path, content: (path.touch(), stop()))
                write(self, image, *arguments)
            stop()
        write(self, image, *arguments)

    def stop():
        raise SystemExit(143)
    write_bytes = Path.write_bytes
    monkeypatch.setattr(PseudoSet, 'write', stopping)
    with pytest.raises(SystemExit):
        autolabel()
    monkeypatch.setattr(Path, 'write_bytes', write_bytes)
    there = contents(tmp_path / 'out')
    assert all(whole[name] == content for name, content in there.items() if 'autolabel.json' not in name)
    assert len([name for name in there if name.startswith('images')]) == at

    def counting(self, image, *arguments):
        written.append(image)
        write(self, image, *arguments)
    monkeypatch.setattr(PseudoSet, 'write', counting)
    assert contents(autolabel()) == whole | {'autolabel.json': (tmp_path / 'out/autolabel.json').read_bytes()}
    assert len(written) == len(NAMES) - at
    written.clear()
    autolabel()
    assert not written


@pytest.mark.parametrize(('options', 'said'), [
    (dict(threshold=0.5), 'threshold was 0.25, is 0.5'), (dict(options=['--dtype', 'bf16']), 'dtype was fp32, is bf16'),
    (dict(folder='inner'), 'folder was'), (dict(more='(44, 44)'), 'model.test_cfg.stride was [40, 40], is [44, 44]'),
    (dict(weights=True), 'checkpoint.sha256 was')])
def test_other_settings_are_refused(autolabel, error, files, photos, tmp_path, options, said):
    before = contents(autolabel())
    config, checkpoint = map(Path, files)
    if 'more' in options:
        config = write_config(tmp_path, more=SLIDE.replace('(40, 40)', options['more']))
    if 'weights' in options:
        checkpoint = tmp_path / 'other.pth'
        content = torch.load(files[1], weights_only=False)
        next(iter(content['state_dict'].values())).add_(1)
        torch.save(content, checkpoint)
    found = error(*options.get('options', ()), threshold=options.get('threshold', THRESHOLD),
                  folder=photos / options.get('folder', ''), files=(config, checkpoint))
    assert said in found and '--overwrite' in found and contents(tmp_path / 'out') == before


def test_the_same_from_elsewhere_is_gone_on_with(autolabel, monkeypatch, files, photos, tmp_path):
    out = autolabel()
    before = contents(out)
    moved = shutil.copy(files[1], tmp_path / 'moved.pth')
    run_inside(monkeypatch, 'autolabel.py', files[0], moved, f'{photos}/../photos', '-o', out, '--threshold', THRESHOLD)
    differ = {name for name, content in contents(out).items() if content != before[name]}
    assert differ <= {'autolabel.json', 'report.json'}


def test_overwriting_leaves_nothing_of_the_earlier_run(autolabel, photos, tmp_path):
    out = autolabel()
    (out / 'images/training/own.jpg').write_text('of somebody else')
    (photos / 'a.jpg').unlink()
    first = labels(out, 'a.png')
    autolabel('--overwrite', threshold=0.9)
    assert not (out / 'annotations/training/a.png').exists() and not (out / 'images/training/a.jpg').exists()
    assert (out / 'images/training/own.jpg').exists()
    assert (labels(out, 'a.png') > 0).sum() < (first > 0).sum()
    assert json.loads((out / 'autolabel.json').read_text())['threshold'] == 0.9


@pytest.mark.parametrize('options', [(), ('--overwrite', )])
@pytest.mark.parametrize('name', ['annotations/training/a.png', 'report.svg', 'autolabel.jsonl'])
def test_what_is_not_ours_stays(error, tmp_path, options, name):
    own = tmp_path / 'out' / name
    own.parent.mkdir(parents=True)
    own.write_text('labels')
    assert f'{name.removesuffix("/a.png")}: there already, and not made by tools/autolabel.py' in error(*options)
    assert contents(tmp_path / 'out') == {name: b'labels'}


def test_what_is_put_into_a_set_stays(autolabel, error, photos):
    """An own image with labels is no file of ours, even where one comes to be called so."""
    out = autolabel()
    own = [out / 'images/training/hand.jpg', out / 'annotations/training/hand.png']
    for path in own:
        path.write_text('by hand')
    autolabel('--overwrite', threshold=0.9)
    assert [path.read_text() for path in own] == ['by hand'] * 2
    shutil.copy(photos / 'a.jpg', photos / 'hand.jpg')
    before = contents(out)
    assert 'hand.jpg: there already' in error('--overwrite') and contents(out) == before


def numbered(images: str, annotations: str) -> SetKind:
    return SetKind('BaseSegDataset', images, annotations, '.jpg', '.png', False, np.arange(3, dtype=np.uint8), 255, ())


def test_a_set_in_other_folders_is_replaced_whole(tmp_path, photos, monkeypatch):
    """Or not at all, where a data set of somebody else is there; interrupted, it is gone on with."""
    def begun(kind, overwrite):
        pseudo_set = PseudoSet(tmp_path / 'out', kind, ['a.jpg'])
        pseudo_set.begin(dict(kind=kind.plain()), overwrite)
        return pseudo_set
    one, other = numbered('images/train', 'labels/train'), numbered('img', 'ann')
    begun(one, False).write('a.jpg', photos / 'a.jpg', np.zeros((2, 2), np.uint8))
    (tmp_path / 'out/img').mkdir()
    (tmp_path / 'out/img/own.jpg').write_text('of somebody else')
    before = contents(tmp_path / 'out')
    with pytest.raises(InputError, match='img: there already'):
        begun(other, True)
    assert contents(tmp_path / 'out') == before
    shutil.rmtree(tmp_path / 'out/img')
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Notes, 'write', lambda self: sys.exit(1))
        begun(other, True)
    with pytest.raises(InputError, match='other settings'):
        begun(other, False)
    begun(other, True)
    assert set(contents(tmp_path / 'out')) == {'autolabel.json', 'autolabel.jsonl'}
    assert not (tmp_path / 'out/images').exists()


def test_notes_name_nothing_elsewhere(autolabel, error, tmp_path):
    own = tmp_path / 'own.jpg'
    own.write_text('mine')
    (autolabel() / 'autolabel.jsonl').write_text(json.dumps(['../own.jpg', 'a.png', '']) + '\n')
    assert 'autolabel.jsonl: is not what' in error('--overwrite') and own.read_text() == 'mine'


def test_one_at_a_time(autolabel, error, tmp_path):
    before = contents(autolabel())
    with FileLock(tmp_path / 'out/.lock'):
        assert 'another process writes there' in error('--overwrite', threshold=0.9)
    assert contents(tmp_path / 'out') == before


def test_killed(autolabel, tmp_path):
    """By SIGKILL while labels are written: what is half there is gone with the next run."""
    def killed():
        torch.set_num_threads(1)  # those of the test's own process are not there
        save = Image.Image.save

        def saving(self, file, **options):
            save(self, file, **options)
            if 'inner' in Path(file).parts:
                os.kill(os.getpid(), signal.SIGKILL)
        Image.Image.save = saving
        autolabel()
    process = multiprocessing.get_context('fork').Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list((tmp_path / 'out').rglob('.*.part.png'))
    whole = contents(autolabel(out=tmp_path / 'whole'))
    (tmp_path / 'out/autolabel.jsonl').open('a').write('["torn')
    assert contents(autolabel()) == whole


@pytest.mark.parametrize('link', [(), ('--link', )])
def test_what_changes_in_the_folder_of_images(autolabel, error, photos, link):
    """A replaced image is labelled anew, damaged labels are too; one that is gone is not left in the set unsaid."""
    out = autolabel(*link)
    first = {name: labels(out, name) for name in NAMES}
    (photos / 'a.jpg').write_bytes((photos / 'inner/a.jpg').read_bytes())
    (out / 'annotations/training/a.png.png').write_text('damaged')
    autolabel(*link)
    assert np.array_equal(labels(out, 'a.jpg'), first['inner/a.jpg'])
    assert np.array_equal(labels(out, 'a.png'), first['a.png'])
    assert (out / 'images/training/a.jpg').read_bytes() == (photos / 'a.jpg').read_bytes()
    (photos / 'a.jpg').write_bytes((photos / 'inner/a.jpg').read_bytes()[:-20])
    error(*link, '--keep-going')
    assert not (out / 'images/training/a.jpg').exists()
    (photos / 'b.webp').unlink()
    assert 'no longer in the folder of images: images/training/b.webp.jpg' in error(*link)


def test_first_weights_are_no_other_settings(autolabel, monkeypatch, files, photos, tmp_path):
    out = autolabel()
    first = "model['backbone'].update(init_cfg=dict(type='Pretrained', checkpoint='x'))\n"
    config = write_config(tmp_path, more=SLIDE + first)
    run_inside(monkeypatch, 'autolabel.py', config, files[1], photos, '-o', out, '--threshold', THRESHOLD)


@pytest.mark.parametrize(('keywords', 'said'), [
    (dict(folder='empty'), 'no images in this folder'), (dict(folder='nowhere'), 'no such folder'),
    (dict(folder='photos/a.jpg'), 'no folder, but a file'), (dict(threshold=1.5), 'threshold must be'),
    (dict(threshold='nan'), 'threshold must be'), (dict(out='photos/out'), 'lies in the folder of images'),
    (dict(out='.'), 'lies in the folder of images'), (dict(out='photos'), 'lies in the folder of images')])
def test_wrong_command_lines(error, tmp_path, photos, keywords, said):
    (tmp_path / 'empty').mkdir()
    before = contents(tmp_path)
    given = {name: tmp_path / value if name != 'threshold' else value for name, value in keywords.items()}
    assert said in error(**given) and contents(tmp_path) == before


def test_bad_images(autolabel, error, photos, tmp_path):
    content = (photos / 'a.jpg').read_bytes()
    (photos / 'a.jpg').write_bytes(content[:-20])
    (photos / 'b.webp').write_text('no image')
    assert f'{photos / "a.jpg"}: truncated' in error()
    found = error('--keep-going', '--overwrite')
    assert '2 of 5 images could not be labelled' in found and 'b.webp' in found
    failed = json.loads((tmp_path / 'out/report.json').read_text())['failed']
    assert set(failed) == {'a.jpg', 'b.webp'} and len(contents(tmp_path / 'out/annotations')) == 3
    (photos / 'a.jpg').write_bytes(content)
    (photos / 'b.webp').unlink()
    autolabel()
    assert len(contents(tmp_path / 'out/annotations')) == 4


def test_all_images_are_bad(error, photos, tmp_path):
    for name in NAMES:
        (photos / name).write_text('')
    assert '5 of 5 images could not be labelled' in error('--keep-going')


def test_one_name_for_two(error, photos):
    shutil.copy(photos / 'a.jpg', photos / 'a.png.jpg')
    assert 'a.png.jpg and a.png would both be called a.png.jpg' in error()


def test_a_name_that_is_the_folder_of_another(error, photos, tmp_path):
    (photos / 'd.png').mkdir()
    for name in ('d.jpg', 'd.png/e.jpg'):
        shutil.copy(photos / 'a.jpg', photos / name)
    assert 'd.jpg would get its labels called d.png, which is the folder of d.png/e.jpg' in error()
    assert not (tmp_path / 'out').exists()


def test_links(autolabel, photos):
    out = autolabel('--link')
    assert (out / 'images/training/a.jpg').samefile(photos / 'a.jpg')


def test_it_is_a_data_set(autolabel, monkeypatch, files, tmp_path, capsys):
    """The snippet's config is found whole by check_dataset.py, and trained on."""
    out = autolabel(threshold=0.1)
    moved = out.rename(tmp_path / 'moved')
    config = tmp_path / 'student.py'
    config.write_text(f"""
_base_ = [{files[0]!r}, {str(moved / 'dataset.py')!r}]
train_dataloader = dict(dataset=dict(_delete_=True, pipeline=_base_.train_pipeline, **_base_.pseudo_labels))
""".replace('_base_.train_pipeline', '_base_.pipeline'))
    with pytest.raises(SystemExit) as end:
        run_inside(monkeypatch, 'check_dataset.py', config, '--workers', '1')
    assert end.value.code == 0 and '0 problems' in capsys.readouterr().out
    run_inside(monkeypatch, 'train.py', config, '--work-dir', tmp_path / 'work', '--cfg-options',
               'train_cfg.max_iters=2', 'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None')
    assert (tmp_path / 'work/iter_2.pth').exists()


def test_the_configs_of_the_page(tmp_path, photos, monkeypatch):
    """They train, and `--data-root` moves the labelled images alone."""
    kind = SetKind('BaseSegDataset', 'images/train', 'annotations/train', '.jpg', '.png', False,
                   np.arange(11, dtype=np.uint8), 255, ())
    pseudo_set = PseudoSet(tmp_path / 'pseudo', kind, ['b.jpg'])
    pseudo_set.begin(dict(kind=kind.plain()))
    labelled = tmp_path / 'camvid'
    for path in (photos / 'b.jpg', labelled / 'images/train/a.jpg', labelled / 'annotations/train/a.png',
                 labelled / 'splits/lab_train.txt'):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((200, 210, 3)[:2 + (path.suffix == '.jpg')], 3, np.uint8)).save(path, 'png')
    (labelled / 'splits/lab_train.txt').write_text('a\n')
    pseudo_set.write('b.jpg', photos / 'b.jpg', np.full((200, 210), 3, np.uint8))
    meta = CamVid.METAINFO
    (tmp_path / 'pseudo/dataset.py').write_text(snippet_of(kind, meta['classes'], meta['palette']))
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    texts = [block.text for block in blocks(ROOT / 'docs/distillation.md') if block.language == 'python'
             and not block.runs]
    for text, images in zip(texts, ({'b.jpg'}, {'a.jpg', 'b.jpg'}), strict=True):
        config = tmp_path / 'student.py'
        config.write_text(text)
        cfg = load_config(str(config), data_root=str(labelled))
        assert {Path(sample['img_path']).name for one in datasets_of(cfg.train_dataloader)
                for sample in list_samples(one)[1]} == images
    run_inside(monkeypatch, 'train.py', config, '--work-dir', tmp_path / 'work', '--data-root', labelled,
               '--cfg-options', 'train_cfg.max_iters=1', 'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None',
               'train_dataloader.batch_size=2', 'model.backbone.arch.num_layers=1', 'train_dataloader.num_workers=0',
               'train_dataloader.persistent_workers=False')
    assert (tmp_path / 'work/iter_1.pth').exists()
