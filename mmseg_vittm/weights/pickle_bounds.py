"""What a pickle would build, counted before anything is built: how deep, how much, and what would be hashed.

A few bytes of a pickle can stand for a tuple nested a million deep, whose hash ends the process, or for one of 2^100
parts, whose hash, text or comparison never ends. This walks a pickle as torch's unpickler does, opcode by opcode, with
numbers in place of the objects.
"""
import contextlib
import gc
import pickle
import struct
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO

from torch._utils import IMPORT_MAPPING, NAME_MAPPING

from ..errors import CheckpointError, shown

MOST = 2_000_000  # objects that a file may stand for, and steps to make them; mmengine's have some 10,000
DEEPEST = 200  # levels of containers; mmengine's checkpoints have about 8
LARGEST_KEY = 100  # parts of a tuple that is the key of a dict
MOST_KEYS = 4096  # keys that are no plain text or number: those of tuples can be made to collide
CALL = 4  # steps that a call counts for
DAMAGED = 'its containers hold themselves, or are nested too deep: it is damaged'
TOO_MUCH = f'it stands for more than {MOST:,} objects, which no checkpoint needs: it is damaged'

_LEAVES = {opcode[0]: size for opcode, size in (
    (pickle.NONE, 0), (pickle.NEWFALSE, 0), (pickle.NEWTRUE, 0), (pickle.BININT, 4), (pickle.BININT1, 1),
    (pickle.BININT2, 2), (pickle.BINFLOAT, 8))}
_EMPTY = {opcode[0] for opcode in (pickle.EMPTY_TUPLE, pickle.EMPTY_LIST, pickle.EMPTY_DICT)}
_TUPLES = {pickle.TUPLE1[0]: 1, pickle.TUPLE2[0]: 2, pickle.TUPLE3[0]: 3}
_TEXTS = {pickle.BINUNICODE[0]: ('<I', 4), pickle.SHORT_BINSTRING[0]: ('<B', 1), pickle.LONG1[0]: ('<B', 1)}
_GETS = {pickle.BINGET[0]: ('<B', 1), pickle.LONG_BINGET[0]: ('<I', 4)}
_PUTS = {pickle.BINPUT[0]: ('<B', 1), pickle.LONG_BINPUT[0]: ('<I', 4)}


class _Made:
    """A container, or what a call returns.

    Attributes:
        size: How many objects it stands for, each part counted as often as it appears.
        depth: Levels of containers in it.
        maker: The name of the function or class that was called for it; empty for a container.
        is_open: Whether nothing holds it yet, so that more may go into it.
    """
    __slots__ = ('depth', 'is_open', 'maker', 'size')

    def __init__(self, size: int = 1, depth: int = 1, maker: str = ''):
        self.size, self.depth, self.maker, self.is_open = size, depth, maker, True


_Item = _Made | int | str  # the size of a plain value; the name of a global


def check_pickle(file: BinaryIO, is_known: Callable[[str], bool], called: Collection[str], built: Collection[str]
                 ) -> None:
    """Walks the pickle that begins at a file's position, and leaves the position as it was.

    It goes as far as torch's unpickler does: that one refuses what this does not know, and where this one ends early.

    Args:
        file: The file.
        is_known: Tells whether the unpickler takes a global, by its name.
        called: Names of the globals that may be called.
        built: Names of those whose results may be given a state.

    Raises:
        CheckpointError: What it would build is too deep, too much, holds itself, has keys that no checkpoint needs, or
            comes of calls that none needs.
    """
    start = file.tell()
    try:
        with _no_collection():
            _Walk(file, is_known, called, built).run()
    except (IndexError, KeyError, struct.error):
        pass  # an empty stack, nothing kept under a number, the end of the file: the unpickler ends there, too
    finally:
        file.seek(start)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps Python from looking for circles among what a walk makes: there are none, and it takes thrice the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Walk:
    def __init__(self, file: BinaryIO, is_known: Callable[[str], bool], called: Collection[str],
                 built: Collection[str]):
        self.file, self.is_known, self.called, self.built = file, is_known, called, built
        self.stack: list[_Item] = []
        self.marked: list[list[_Item]] = []
        self.memo: dict[int, _Item] = {}
        self.steps = self.keys = 0

    def run(self) -> None:
        """Walks to the end of the pickle, or to where the unpickler stops."""
        file, stop = self.file, pickle.STOP[0]
        while (opcode := file.read(1)) and opcode[0] != stop and self._step(opcode[0]):
            self.steps += 1
            if self.steps > MOST:
                raise CheckpointError(TOO_MUCH)

    def _step(self, opcode: int) -> bool:
        """Follows one opcode; returns False for one that the unpickler does not know."""
        stack = self.stack
        if opcode in _PUTS:
            self.memo[self._number(*_PUTS[opcode])] = stack[-1]
        elif opcode in _GETS:
            stack.append(self.memo[self._number(*_GETS[opcode])])
        elif opcode in _TEXTS:
            length = self._number(*_TEXTS[opcode])
            self.file.seek(length, 1)
            is_long = opcode == pickle.LONG1[0] and length > 8  # such numbers can be made to collide
            stack.append(_Made(LARGEST_KEY + 1) if is_long else 1 + length // 1024)
        elif opcode in _LEAVES:
            self.file.seek(_LEAVES[opcode], 1)
            stack.append(1)
        elif opcode in _TUPLES:
            stack.append(self._holder(self._pop(_TUPLES[opcode])))
        elif opcode in _EMPTY:
            stack.append(_Made())
        elif opcode == pickle.MARK[0]:
            if len(self.marked) >= 2 * DEEPEST:
                raise CheckpointError(DAMAGED)
            self.marked.append(stack)
            self.stack = []
        elif opcode == pickle.TUPLE[0]:
            items = self._pop_mark()
            self.stack.append(self._holder(items))
        elif opcode in (pickle.APPEND[0], pickle.APPENDS[0]):
            items = self._pop(1) if opcode == pickle.APPEND[0] else self._pop_mark()
            self._put_into(self.stack[-1], items)
        elif opcode in (pickle.SETITEM[0], pickle.SETITEMS[0]):
            items = self._pop(2) if opcode == pickle.SETITEM[0] else self._pop_mark()
            self._check_keys(items[::2])
            self._put_into(self.stack[-1], items)
        elif opcode == pickle.GLOBAL[0]:
            return self._global()
        elif opcode in (pickle.REDUCE[0], pickle.NEWOBJ[0]):
            self._call()
        elif opcode == pickle.BUILD[0]:
            self._build()
        elif opcode == pickle.BINPERSID[0]:
            self.steps += CALL
            if _size(stack[-1]) > LARGEST_KEY:
                raise CheckpointError('a name of a tensor in it is too long: it is damaged')
            stack[-1] = 1
        elif opcode == pickle.PROTO[0]:
            self.file.seek(1, 1)
        elif opcode == pickle.EMPTY_SET[0]:  # the unpickler knows it, but nothing that could fill it
            raise CheckpointError('it holds sets in another way than torch.save pickles them')
        else:
            return False
        return True

    def _number(self, form: str, size: int) -> int:
        return struct.unpack(form, self.file.read(size))[0]

    def _pop(self, count: int) -> list[_Item]:
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _pop_mark(self) -> list[_Item]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _holder(self, items: list[_Item], maker: str = '') -> _Made:
        holder = _Made(maker=maker)
        self._put_into(holder, items)
        return holder

    def _put_into(self, holder: _Item, items: list[_Item]) -> None:
        """Adds up what a container holds. One that is held itself stays as it is, so that every sum is exact."""
        size, depth = 0, 0
        for item in items:
            if isinstance(item, _Made):
                item.is_open = False
                size += item.size
                depth = max(depth, item.depth)
            else:
                size += item if isinstance(item, int) else 1
        if not isinstance(holder, _Made) or not holder.is_open:
            raise CheckpointError(DAMAGED)
        holder.size += size
        holder.depth = max(holder.depth, depth + 1)
        if holder.depth > DEEPEST:
            raise CheckpointError(DAMAGED)
        if holder.size > MOST:
            raise CheckpointError(TOO_MUCH)

    def _check_keys(self, keys: list[_Item]) -> None:
        unusual = [key for key in keys if isinstance(key, _Made)]
        self.keys += len(unusual)
        if self.keys > MOST_KEYS or any(key.size > LARGEST_KEY for key in unusual):
            raise CheckpointError('a dict in it has keys that no checkpoint needs: it is damaged')

    def _global(self) -> bool:
        try:
            module, name = (self.file.readline()[:-1].decode() for _ in range(2))
        except UnicodeDecodeError:
            return False
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        self.stack.append(f'{module}.{name}')
        return self.is_known(f'{module}.{name}')

    def _call(self) -> None:
        self.steps += CALL
        function, arguments = self._pop(2)
        # What is called is in torch's message, as text, if it is nothing to call.
        if not isinstance(function, str) or function not in self.called:
            what = shown(function) if isinstance(function, str) else 'what is no function'
            raise CheckpointError(f'it calls {what}, which no checkpoint needs')
        self.stack.append(self._holder([arguments], function))

    def _build(self) -> None:
        self.steps += CALL
        state = self._pop(1)
        target = self.stack[-1]
        maker = target.maker if isinstance(target, _Made) else ''
        if maker not in self.built:
            raise CheckpointError(f'it changes the state of {shown(maker) or "a plain value"}, which no checkpoint '
                                  'needs')
        self._put_into(target, state)


def _size(item: _Item) -> int:
    return item.size if isinstance(item, _Made) else item if isinstance(item, int) else 1
