"""What a teacher costs in training, on a CPU: python benchmarks/teacher.py [--help]

Trains a student on one random batch, in turns without a teacher and with one in each type, by its logits alone and by
its features too. Weights are random: they change no time.
"""
import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.apis import init_model
from mmseg.structures import SegDataSample

from mmseg_vittm.engine.distillation.options import DistillationOptions
from mmseg_vittm.engine.distillation.student import give_teacher
from mmseg_vittm.measure.conditions import describe_machine

ROOT = Path(__file__).resolve().parents[1] / 'configs' / 'camvid'
VARIANTS = {'no teacher': None, 'fp32': {}, 'bf16': dict(dtype='bf16'), 'fp32, features': dict(features={}),
            'bf16, features': dict(dtype='bf16', features={})}


def build(student: str, teacher: str, checkpoint: Path, dtype: str = 'fp32', **section) -> torch.nn.Module:
    """Returns a student with a teacher."""
    model = init_model(student, device='cpu').train()
    if not checkpoint.exists():
        classes = [f'class {number}' for number in range(model.num_classes)]
        torch.save(dict(meta=dict(dataset_meta=dict(classes=classes, palette=[[0, 0, 0]] * len(classes))),
                        state_dict=init_model(teacher, device='cpu').state_dict()), checkpoint)
    give_teacher(model, DistillationOptions.of(dict(
        teacher=dict(config=teacher, checkpoint=str(checkpoint), dtype=dtype), **section)), 'cpu')
    return model


def batch(size: int, crop: int, classes: int) -> dict:
    """Returns a random batch, as a data loader gives it."""
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, classes, (1, crop, crop))))
               for _ in range(size)]
    return dict(inputs=[torch.randint(0, 256, (3, crop, crop), dtype=torch.uint8) for _ in range(size)],
                data_samples=samples)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description='What a teacher costs in training, on a CPU.')
    parser.add_argument('--student', default=str(ROOT / 'vittm_32_8.py'))
    parser.add_argument('--teacher', default=str(ROOT / 'vit_16.py'))
    parser.add_argument('--crop', type=int, default=192, help='pixels (default: %(default)s)')
    parser.add_argument('--batch', type=int, default=8, help='images (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=10, help='iterations of each (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='of PyTorch (default: %(default)s)')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cfg = Config.fromfile(args.student)
    with tempfile.TemporaryDirectory() as folder, DefaultScope.overwrite_default_scope('mmseg'):
        models = {name: init_model(args.student, device='cpu').train() if section is None else build(
            args.student, args.teacher, Path(folder) / 'teacher.pth', **section) for name, section in VARIANTS.items()}
        wrappers = {name: build_optim_wrapper(model, cfg.optim_wrapper.copy()) for name, model in models.items()}
    spent = {name: [] for name in VARIANTS}
    for turn in range(args.rounds + 1):  # the first warms up
        for name, model in models.items():
            data = batch(args.batch, args.crop, model.num_classes)
            start = time.process_time()  # of the processor, so that other processes hardly count
            model.train_step(data, wrappers[name])
            if turn:
                spent[name].append(1000 * (time.process_time() - start))
    print(json.dumps(dict(device=describe_machine(torch.device('cpu')), student=Path(args.student).stem,
                          teacher=Path(args.teacher).stem, crop=args.crop, batch=args.batch, rounds=args.rounds)))
    for name, found in spent.items():
        ratios = [one / other for one, other in zip(found, spent['no teacher'], strict=True)]
        print(json.dumps(dict(teacher=name, iteration_ms=round(median(found)), ratio=round(median(ratios), 3),
                              least=round(min(ratios), 3), most=round(max(ratios), 3))))


if __name__ == '__main__':
    main()
