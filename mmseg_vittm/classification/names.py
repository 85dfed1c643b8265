"""Names: millions of texts in little memory, which forked workers share."""
from array import array
from collections.abc import Iterable

import numpy as np


class Names:
    """Texts by number: one run of bytes, and where each ends; lists of millions would take gigabytes in each worker.

    Args:
        texts: The texts; bytes of file names that are no UTF-8 are kept.
    """

    def __init__(self, texts: Iterable[str]):
        content, ends = bytearray(), array('q', [0])
        for text in texts:
            content += text.encode(errors='surrogateescape')
            ends.append(len(content))
        self._content, self._ends = bytes(content), np.array(ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        begin, end = self._ends[index:index + 2] if index >= 0 else self._ends[len(self) + index:][:2]
        return self._content[begin:end].decode(errors='surrogateescape')
