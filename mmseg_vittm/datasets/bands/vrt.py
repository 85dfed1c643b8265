"""VRT files name other files: only local ones are followed."""
import os
from collections.abc import Iterator
from xml.etree import ElementTree

from ...errors import DataError, one_line, shown

START = b'<VRTDataset'
TEXT = frozenset(range(32, 127)) | set(b'\t\n\r')  # bytes of a text, by which XML and JSON are told from pixels
HEAD = 1024  # bytes by which GDAL, too, tells of what kind a file is
SOURCES = ('filename', 'dataset')  # in the names of the elements and attributes that name a file
DEEPEST = 8  # VRTs that name each other


def check_local(path: str, depth: int = 0) -> None:
    """Checks that a raster is a file of pixels, or a VRT whose sources are, by local paths.

    GDAL tells by its content what a file is, and texts of many kinds describe a service of a network; in a VRT these
    stand in place of a source's path, too.

    Args:
        path: A regular file.
        depth: How many VRTs led to it.

    Raises:
        DataError: It is another text, or a VRT with a source that is no local file.
    """
    with open(path, 'rb') as file:
        head = file.read(HEAD).removeprefix(b'\xef\xbb\xbf').lstrip()
        if START not in head:
            if head[:1] in (b'<', b'{', b'[') and TEXT.issuperset(head):
                raise DataError(path, 'is a text, and no VRT', 'give the image itself')
            return
        file.seek(0)
        try:
            named = list(_sources(ElementTree.parse(file).getroot(), os.path.dirname(path)))
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise DataError(path, f'cannot be read as a VRT ({one_line(error)})', 'write it again by gdalbuildvrt') \
                from error
    for text, source in named:
        if not os.path.isfile(source):
            raise DataError(path, f'its source {shown(text)} is no file on this machine', 'write it again by '
                            'gdalbuildvrt, of files that are')
        if depth == DEEPEST:
            raise DataError(path, f'more than {DEEPEST} VRTs name each other', 'write one of the images themselves')
        check_local(source, depth + 1)


def _sources(root: ElementTree.Element, folder: str) -> Iterator[tuple[str, str]]:
    """Yields what a VRT names as its sources, and the paths that this means."""
    for element in root.iter():
        relative = any(name.lower() == 'relativetovrt' and value.strip() == '1' for name, value in element.items())
        for name, text in ((element.tag, element.text), *element.items()):
            text = (text or '').strip()
            if text and any(part in name.lower() for part in SOURCES):
                yield text, os.path.join(folder, text) if relative else text
