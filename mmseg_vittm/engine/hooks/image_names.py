"""ImageNames: what hooks call the files that they write of each image."""
import os
from pathlib import Path, PurePath

from mmengine.dist import barrier

from ...datasets.listing import built_folders, built_leaves
from ...datasets.picture_names import ENDING, name_pictures, pictures_of
from ...outputs import claim_file, claim_folder, refuse_data_folder, refuse_existing, refuse_inputs


class ImageNames:
    """Names of PNGs, relative and with folders, by the path of the image; see `name_pictures`.

    Args:
        dataset: The dataset that has the images, or None. An image that none of its parts lists is called by its whole
            path.
    """

    def __init__(self, dataset: object = None):
        self._leaves = [] if dataset is None else list(built_leaves(dataset))
        self._names = name_pictures([pictures_of(leaf) for leaf in self._leaves])

    def __getitem__(self, path: str) -> str:
        name = self._names.get(path)
        if name is None:
            whole = PurePath(os.path.abspath(path))
            name = whole.relative_to(whole.anchor).as_posix() + ENDING
        return name

    def claim(self, folder: str | Path, argument: str, overwrite: bool) -> None:
        """Checks that the files can be written into a folder, and take no data's place; makes nothing.

        Args:
            folder: The folder.
            argument: The name of the argument that it was given by.
            overwrite: Whether files of these names may be replaced.

        Raises:
            InputError: The folder is one of the data's, or one of the files is data, or there already.
            OutputError: One cannot be written.
        """
        claim_folder(folder)
        paths = [Path(folder, name) for name in sorted(set(self._names.values()))]
        for leaf in self._leaves:
            refuse_data_folder(folder, argument, built_folders(leaf))
            samples = map(leaf.get_data_info, range(len(leaf)))
            refuse_inputs(paths, [sample[key] for sample in samples for key in ('img_path', 'seg_map_path')
                                  if sample.get(key)])
        refuse_existing(paths, overwrite)
        for path in paths:
            claim_file(path, overwrite=True)
        barrier()  # else one process may find what another has begun to write
