"""Frames of a video beside what models make of them: python benchmarks/video_strip.py NAME=CONFIG=CHECKPOINT ...

Of the first config's test set it takes frames of which the first shows all, and in whose others most is hidden,
whatever the models see there. Columns are the images, the truth (what is hidden in it is outlined), and the models,
which have seen the video from its beginning. Prints, per model, the share of the hidden pixels that it labels right.
"""
import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mmseg_vittm import load_model, optimize
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.options import run, whole
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.datasets.video.masks import read_mask
from mmseg_vittm.engine.checked_data import checked
from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.conditions import resolve_device
from mmseg_vittm.outputs import claim_file, write_whole
from mmseg_vittm.visualization.pictures import colourise, panels

SIDE = 128  # pixels of a frame in the picture


@dataclass
class Model:
    """A model of the command line: a name for its column, its config and its checkpoint."""
    name: str
    config: str
    checkpoint: str


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Draws frames of a video under what models make of them.')
    parser.add_argument('models', nargs='+', metavar='NAME=CONFIG=CHECKPOINT')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='where the data set is')
    parser.add_argument('--frames', type=whole(1, 24), default=6, metavar='N', help='(default: %(default)s)')
    parser.add_argument('-o', '--out', required=True, metavar='FILE', help='the picture, a PNG')
    parser.add_argument('--overwrite', action='store_true', help='replace it')
    return parser.parse_args()


def model_of(text: str) -> Model:
    """Returns a model of the command line."""
    parts = text.split('=')
    if len(parts) != 3 or not all(parts):
        raise InputError(f'{text}: give NAME=CONFIG=CHECKPOINT')
    return Model(*parts)


def hidden_in(sample: SegDataSample) -> np.ndarray:
    """Returns which pixels (H, W) of a frame are hidden."""
    path = sample.metainfo['region_path']
    return read_mask(path, sample.metainfo['ori_shape']) if path else np.zeros(sample.metainfo['ori_shape'], bool)


def fullest(samples: list[SegDataSample], count: int) -> int:
    """Returns the first of `count` frames of one video: it hides nothing, and the others most."""
    shares = np.array([hidden_in(sample).mean() for sample in samples])
    videos = [sample.metainfo['video'] for sample in samples]
    starts = [start for start in range(len(samples) - count + 1)
              if videos[start] == videos[start + count - 1] and not shares[start] and shares[start:start + count].any()]
    if not starts:
        raise InputError(f'no video has {count} frames of which the first hides nothing and another something; give '
                         'another number by --frames')
    return max(starts, key=lambda start: shares[start:start + count].sum())


def small(picture: np.ndarray) -> np.ndarray:
    """Returns a picture (H, W, 3) of the size that it is shown in."""
    return cv2.resize(picture, (round(SIDE * picture.shape[1] / picture.shape[0]), SIDE), interpolation=cv2.INTER_AREA)


def labelled(model: Model, data_root: str, batches: list[dict], device: torch.device) -> list[np.ndarray]:
    """Returns the labels (H, W) that a model gives frames of a video, in order from its first."""
    network = optimize(load_model(load_config(model.config, data_root=data_root, job='test'), model.checkpoint,
                                  str(device)))
    with torch.no_grad():
        return [network.test_step(batch)[0].pred_sem_seg.data[0].cpu().numpy() for batch in batches]


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    models, device, console = [model_of(text) for text in args.models], resolve_device(None), open_console()
    claim_file(args.out, args.overwrite)
    cfg = load_config(models[0].config, data_root=args.data_root, job='test')
    loader = dict(cfg.test_dataloader, dataset=checked(cfg.test_dataloader.dataset), num_workers=0,
                  persistent_workers=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        loader = Runner.build_dataloader(loader)
    batches = list(loader)
    samples = [batch['data_samples'][0] for batch in batches]
    start = fullest(samples, args.frames)
    first = start - samples[start].metainfo['frame_index']
    shown = range(start, start + args.frames)
    palette = loader.dataset.metainfo['palette']
    truths = [samples[number].gt_sem_seg.data[0].numpy() for number in shown]
    hidden = [hidden_in(samples[number]) for number in shown]

    def outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return cv2.drawContours(picture.copy(), edges, -1, (255, 0, 255), 2)

    images = [batches[number]['inputs'][0].numpy().transpose(1, 2, 0)[..., ::-1] for number in shown]
    columns = [[small(np.ascontiguousarray(image)) for image in images],
               [small(outlined(colourise(truth, palette), mask)) for truth, mask in zip(truths, hidden, strict=True)]]
    counted = np.stack(hidden) & (np.stack(truths) < len(palette))
    for model in models:
        found = labelled(model, args.data_root, batches[first:shown.stop], device)[start - first:]
        columns.append([small(colourise(one, palette)) for one in found])
        right = (np.stack(found) == np.stack(truths))[counted].mean()
        console.print(f'{model.name}: {100 * right:.0f}% of the hidden pixels are right', highlight=False)
    picture = panels(list(zip(*columns, strict=True)), ['image', 'truth', *(model.name for model in models)])
    write_whole(Path(args.out), cv2.imencode('.png', picture[..., ::-1])[1].tobytes())
    console.print(f'{args.out}: {samples[start].metainfo["video"]}, from frame {start - first} on', highlight=False)


if __name__ == '__main__':
    run(main)
