"""What colour and position alone give on the toy scenes: a logistic regression per pixel.

A model that learns shapes and context must do far better. `python tests/toy_baseline.py DATA_ROOT` prints the
regression's mIoU on the validation split.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

PIXELS_PER_SCENE = 400


def read_pair(image_path):
    """The image and its labels, uint8 arrays (H, W, 3) and (H, W)."""
    root, split = image_path.parents[2], image_path.parent.name
    return (np.asarray(Image.open(image_path)),
            np.asarray(Image.open(root / 'annotations' / split / f'{image_path.stem}.png')))


def features(image):
    """Colour, position, their squares and products, (H * W, 21): more than a linear regression would have."""
    height, width, _ = image.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing='ij')
    base = np.concatenate([image / 127.5 - 1, x[..., None], y[..., None], np.ones((height, width, 1))], axis=-1)
    base = base.reshape(-1, 6)
    first, second = np.triu_indices(6)
    return torch.from_numpy((base[:, first] * base[:, second]).astype(np.float32))


def fit(paths):
    """Multinomial logistic regression on some labelled pixels of every image; returns the weights (21, classes)."""
    rng = np.random.default_rng(0)
    inputs, targets = [], []
    for path in paths:
        image, label = read_pair(path)
        chosen = rng.choice(label.size, min(PIXELS_PER_SCENE, label.size), replace=False)
        chosen = chosen[label.ravel()[chosen] > 0]
        inputs.append(features(image)[chosen])
        targets.append(label.ravel()[chosen])
    inputs, targets = torch.cat(inputs), torch.from_numpy(np.concatenate(targets).astype(np.int64)) - 1
    weights = torch.zeros(inputs.shape[1], int(targets.max()) + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=150, history_size=20, line_search_fn='strong_wolfe')

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(inputs @ weights, targets) + 1e-6 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()


def regression_miou(data_root) -> float:
    """Fits the regression on the training split and measures it on the validation split.

    Args:
        data_root (str or Path): A folder in ADE20K's layout, as `ToyScenes` draws it.

    Returns:
        float: mIoU in percent over the classes that occur in the validation split, unlabelled pixels left out.

    Raises:
        FileNotFoundError: When one of the splits has no images.
    """
    training, validation = (sorted(Path(data_root, 'images', split).glob('*.jpg'))
                            for split in ('training', 'validation'))
    if not training or not validation:
        raise FileNotFoundError(f'{data_root} needs images/training/*.jpg and images/validation/*.jpg; '
                                'building ToyScenes with this data_root draws them')
    weights = fit(training)
    confusion = torch.zeros(256, 256, dtype=torch.int64)
    for path in validation:
        image, label = read_pair(path)
        target = torch.from_numpy(label.ravel().astype(np.int64))
        predicted = (features(image) @ weights).argmax(dim=1) + 1
        pairs = (target * 256 + predicted)[target > 0]
        confusion += torch.bincount(pairs, minlength=256 * 256).reshape(256, 256)
    both, either = confusion.diag(), confusion.sum(0) + confusion.sum(1) - confusion.diag()
    return 100 * (both / either)[confusion.sum(1) > 0].mean().item()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', help='folder that ToyScenes has drawn')
    print(f'mIoU {regression_miou(parser.parse_args().data_root):.2f}')
