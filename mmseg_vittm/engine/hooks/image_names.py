"""ImageNames: what hooks call the files that they write of each image."""
import os
from pathlib import PurePath

from ...datasets.listing import built_leaves
from ...datasets.picture_names import ENDING, name_pictures, pictures_of


class ImageNames:
    """Names of PNGs, relative and with folders, by the path of the image; see `name_pictures`.

    Args:
        dataset: The dataset that has the images, or None. An image that none of its parts lists is called by its whole
            path.
    """

    def __init__(self, dataset: object = None):
        leaves = [] if dataset is None else built_leaves(dataset)
        self._names = name_pictures([pictures_of(leaf) for leaf in leaves])

    def __getitem__(self, path: str) -> str:
        name = self._names.get(path)
        if name is None:
            whole = PurePath(os.path.abspath(path))
            name = whole.relative_to(whole.anchor).as_posix() + ENDING
        return name
