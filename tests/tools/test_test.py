"""tools/test.py, and infer.py, on a checkpoint of tools/train.py."""
import numpy as np
from PIL import Image
from tool_inside import error_inside, run_inside
from tool_runs import logged, logged_scores, write_config


def test_test_scores_writes_labels_and_pictures(trained, tmp_path, monkeypatch):
    weights = tmp_path / 'model.safetensors'
    run_inside(monkeypatch, 'convert_checkpoint.py', trained.checkpoint, weights)
    scores = []
    for checkpoint in (trained.checkpoint, weights):
        work = tmp_path / f'test_{checkpoint.suffix[1:]}'
        run_inside(monkeypatch, 'test.py', trained.config, checkpoint, '--work-dir', work, '--show-dir', work / 'show',
                   '--out', work / 'out')
        scores.append(logged_scores(work))
        stems = sorted(path.stem for path in (trained.data / 'images' / 'validation').iterdir())
        assert sorted(path.stem for path in (work / 'show').iterdir()) == stems
        labels = {path.stem: np.asarray(Image.open(path)) for path in (work / 'out').iterdir()}
        assert sorted(labels) == stems
        assert all(label.dtype == np.uint8 and label.min() >= 1 and label.max() <= 14 for label in labels.values())
    assert scores[0] == scores[1]
    training = [entry['mIoU'] for entry in logged(trained.work_dir) if 'mIoU' in entry]
    assert scores[0]['mIoU'] == training[-1]


def test_test_time_augmentation(trained, tmp_path, monkeypatch, log_lines):
    run_inside(monkeypatch, 'test.py', trained.config, trained.checkpoint, '--work-dir', tmp_path, '--tta')
    assert logged_scores(tmp_path)['mIoU'] >= 0
    assert any("type='SlideTTAModel'" in path.read_text() for path in tmp_path.glob('2*/vis_data/config.py'))


def test_without_a_tta_model_it_is_an_error(trained, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path, more='del tta_pipeline\n')
    said = error_inside(monkeypatch, capsys, 'test.py', config, trained.checkpoint, '--work-dir', tmp_path,
                        '--data-root', trained.data, '--tta')
    assert said.startswith(f'error: --tta: {config} has no')


def test_another_architecture_is_an_error(trained, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path, more="model['backbone'].update(read_write_head='cross')\n")
    for command in (('test.py', config, trained.checkpoint, '--work-dir', tmp_path, '--data-root', trained.data),
                    ('infer.py', config, trained.checkpoint, trained.data / 'images' / 'validation', '-o', tmp_path)):
        assert str(trained.checkpoint) in error_inside(monkeypatch, capsys, *command)
