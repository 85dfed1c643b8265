"""A plan with its work dir: settings of runs, what is done, and what other settings get."""
import json
import shutil

import pytest
import torch
from laboratories import PLAN, write_laboratory
from mmengine.config import Config

from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.jobs import set_warm_start
from mmseg_vittm.commands.laboratory.laboratory import Laboratory
from mmseg_vittm.commands.laboratory.plan import Run
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.same_settings import differing
from mmseg_vittm.engine.state.saved_settings import settings_of
from mmseg_vittm.errors import InputError

RUN = Run('toy', 'vit_16', 0)


def laboratory(folder, plan: dict = PLAN, **changes) -> Laboratory:
    return Laboratory(read_plan(write_laboratory(folder, plan, **changes)), folder / 'work')


def save(lab: Laboratory, run: Run, iteration: int = 4, **settings) -> None:
    """A checkpoint as training leaves it, without weights that fit."""
    path = lab.folder(run) / f'iter_{iteration}.pth'
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dict(iter=iteration, epoch=0, settings=json.dumps(lab.settings(run) | settings))
    torch.save(dict(state_dict={'weight': torch.zeros(2)}, meta=meta), path)


def test_a_run_is_done_by_its_last_checkpoint(tmp_path):
    lab = laboratory(tmp_path)
    assert not lab.is_done(RUN) and lab.done_iterations(RUN) == 0
    save(lab, RUN, 2)
    assert not lab.is_done(RUN) and lab.done_iterations(RUN) == 2
    save(lab, RUN)
    assert lab.is_done(RUN) and lab.checkpoint(RUN) == tmp_path / 'work' / 'toy' / 'vit_16' / 'seed0' / 'iter_4.pth'
    first = lab.identity(RUN)
    lab.checkpoint(RUN).write_bytes(lab.checkpoint(RUN).read_bytes()[:-100])
    assert not lab.is_done(RUN)  # damaged: training goes on from the one before
    save(lab, RUN)
    assert lab.is_done(RUN) and lab.identity(RUN) == first


def test_data_and_names_of_files_may_lie_elsewhere(tmp_path):
    lab = laboratory(tmp_path)
    old = lab.settings(RUN)
    other = Laboratory(lab.plan, tmp_path / 'work', {'toy': str(tmp_path)}).settings(RUN)
    assert other != old and differing(old, other) == []
    with pytest.raises(InputError, match='has no data set camvid; it has toy'):
        Laboratory(lab.plan, tmp_path / 'work', {'camvid': 'x'})


@pytest.mark.parametrize(('old', 'new', 'same'), [
    ('/a/toy/vit/seed0/iter_4.pth', 'b/toy/vit/seed0/iter_4.pth', True),
    ('/a/toy/vit/seed0/iter_4.pth', '/a/toy/vit/seed1/iter_4.pth', False), ('a/b.pth', 'c/b.pth', False),
    ('a', 'b', False)])
def test_checkpoints_of_one_run_are_the_same_in_any_work_dir(old, new, same):
    settings = [dict(model=dict(init_cfg=dict(checkpoint=path))) for path in (old, new)]
    assert (differing(*settings) == []) == same


@pytest.mark.parametrize(('changes', 'said'), [
    (dict(cfg_options={'optim_wrapper.optimizer.lr': 0.5}), r'optim_wrapper.optimizer.lr was 0.001, is 0.5'),
    (dict(cfg_options={'train_cfg.max_iters': 8}), 'train_cfg.max_iters was 4, is 8'),
    (dict(cfg_options={'model.backbone.num_layers': 2}), 'model.backbone.num_layers was 1, is 2')])
def test_other_settings_are_refused_and_nothing_is_deleted(tmp_path, changes, said):
    save(laboratory(tmp_path), RUN)
    rows = [PLAN['rows'][0] | changes, PLAN['rows'][1]]
    lab = laboratory(tmp_path, rows=rows)
    with pytest.raises(InputError, match=said) as error:
        lab.is_done(RUN)
    folder = tmp_path / 'work' / 'toy' / 'vit_16' / 'seed0'
    assert f'move {folder} away' in str(error.value) and '\n' not in str(error.value)
    assert (folder / 'iter_4.pth').is_file()


def test_amp_is_a_setting_of_the_plan(tmp_path):
    save(laboratory(tmp_path), RUN)
    lab = laboratory(tmp_path, amp=True)
    assert '--amp' in lab.words(RUN)
    with pytest.raises(InputError, match='optim_wrapper.type was OptimWrapper, is CpuAmpOptimWrapper'):
        lab.is_done(RUN)


def test_a_checkpoint_that_does_not_say_its_settings(tmp_path):
    lab = laboratory(tmp_path)
    save(lab, RUN)
    torch.save(dict(state_dict={'weight': torch.zeros(2)}, meta=dict(iter=4)), lab.checkpoint(RUN))
    with pytest.raises(InputError, match='it does not say its settings'):
        lab.is_done(RUN)


def test_words_for_training_and_the_config_they_name(tmp_path):
    rows = [*PLAN['rows'], dict(name='warm', config='vittm.py', warm_start='vit_16', teacher='vittm')]
    lab = laboratory(tmp_path, rows=rows)
    run, work = Run('toy', 'warm', 1), tmp_path / 'work' / 'toy'
    assert lab.words(run) == [
        str(work / 'warm.py'), '--work-dir', str(work / 'warm' / 'seed1'), '--resume=auto', '--cfg-options',
        'randomness.seed=1', '--warm-start', str(work / 'vit_16' / 'seed0' / 'iter_4.pth'),
        '--teacher', str(work / 'vittm.py'), str(work / 'vittm' / 'seed1' / 'iter_4.pth')]
    lab.write_config(run)
    written = Config.fromfile(work / 'warm.py')
    assert written.model == lab.config('toy', 'warm').model
    before = (work / 'warm.py').stat().st_mtime_ns
    lab.write_config(run)
    assert (work / 'warm.py').stat().st_mtime_ns == before


def test_how_a_warm_start_begins_is_kept_as_training_keeps_it(tmp_path):
    how = {'model.backbone.init_cfg': dict(type='WarmStart', checkpoint='x', calibration='none')}
    rows = [*PLAN['rows'], dict(name='warm', config='vittm.py', warm_start='vit_16', cfg_options=how)]
    lab, run = laboratory(tmp_path, rows=rows), Run('toy', 'warm', 0)
    save(lab, Run('toy', 'vit_16', 0))
    cfg = load_config(str(lab.write_config(run)))
    set_warm_start(cfg, lab.words(run)[-1])
    assert lab.settings(run)['model'] == settings_of(cfg)['model']
    assert cfg.model.backbone.init_cfg.calibration == 'none'


def test_training_by_epochs_is_refused(tmp_path):
    rows = [PLAN['rows'][0] | dict(cfg_options={'train_cfg': dict(_delete_=True, by_epoch=True, max_epochs=2)})]
    with pytest.raises(InputError, match='has no max_iters; the laboratory trains by iterations'):
        laboratory(tmp_path, rows=rows).iterations(RUN)


def test_a_source_that_changed_since_is_told(tmp_path):
    rows = [*PLAN['rows'], dict(name='warm', config='vittm.py', warm_start='vit_16')]
    lab, run, source = laboratory(tmp_path, rows=rows), Run('toy', 'warm', 0), Run('toy', 'vit_16', 0)
    save(lab, source)
    assert lab.is_done(source)
    lab.note_sources(run)
    save(lab, run)
    assert lab.is_done(run)
    checkpoint = torch.load(lab.checkpoint(source))
    torch.save(checkpoint | dict(state_dict={'weight': torch.ones(2)}), lab.checkpoint(source))
    moved = tmp_path / 'moved'
    shutil.copytree(lab.work_dir, moved)  # where the paths are others
    for again in (lab, laboratory(tmp_path, rows=rows), Laboratory(lab.plan, moved)):
        with pytest.raises(InputError, match='vit_16/seed0/iter_4.pth, from which toy/warm/seed0 began, has changed'):
            again.is_done(run)


def test_a_copy_of_a_work_dir_is_as_good_as_the_work_dir(tmp_path):
    rows = [*PLAN['rows'], dict(name='warm', config='vittm.py', warm_start='vit_16')]
    lab, run = laboratory(tmp_path, rows=rows), Run('toy', 'warm', 0)
    save(lab, Run('toy', 'vit_16', 0))
    lab.note_sources(run)
    save(lab, run)
    shutil.copytree(lab.work_dir, tmp_path / 'copy')
    assert Laboratory(lab.plan, tmp_path / 'copy').is_done(run)


def test_a_teacher_is_a_setting_and_its_weights_are_what_the_run_saw(tmp_path):
    def taught(temperature: float) -> Laboratory:
        options = {'distillation.logits.temperature': temperature}
        return laboratory(tmp_path, rows=[*PLAN['rows'], dict(name='taught', config='vittm.py', teacher='vit_16',
                                                              cfg_options=options)])
    lab, run = taught(3.0), Run('toy', 'taught', 0)
    settings = lab.settings(run)['distillation']
    assert settings['logits']['temperature'] == 3.0 and settings['teacher']['sha256'] is None
    assert settings['teacher']['checkpoint'] == str(lab.checkpoint(Run('toy', 'vit_16', 0)))
    settings['teacher']['sha256'] = 'known once it is loaded'
    save(lab, run, distillation=settings)
    assert lab.is_done(run)
    with pytest.raises(InputError, match='distillation.logits.temperature was 3.0, is 4.0'):
        taught(4.0).is_done(run)
    with pytest.raises(InputError, match='distillation.* was .*, is not set'):
        laboratory(tmp_path, rows=[*PLAN['rows'], dict(name='taught', config='vittm.py')]).is_done(run)
