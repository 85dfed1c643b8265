"""Draws the figures of the pages on the method and on streaming, as SVGs: python docs/figures.py"""
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / 'tools'))

from draw_architecture import (  # noqa: E402
    FONT,
    GREY,
    IMAGE,
    INK,
    LABELS,
    MEMORY,
    MEMORY_TINT,
    PROCESS,
    PROCESS_TINT,
    arrow,
    box,
    grid,
    landscape,
    marker,
    rect,
    text,
)

TOP, MIDDLE, BOTTOM = 50, 97, 144  # heights of the target, of what joins them, of the source
SIDE = 54


def tokens(x: float, y: float, stream: str, fill: str, name: str, said: str) -> str:
    """A stream as a grid of tokens, few for process and many for memory, with its name and size beside it."""
    colour, cells = (PROCESS, 3) if stream == 'process' else (MEMORY, 6)
    return (grid(x, y, SIDE, cells, fill, colour) + text(x + 38, y - 10, name, 14, colour, 'start', 'bold')
            + text(x + 38, y + 11, said, 13, GREY, 'start'))


def process(x: float, y: float, name: str, said: str, fill: str = PROCESS_TINT) -> str:
    """Process tokens, or an update of them."""
    return tokens(x, y, 'process', fill, name, said)


def memory(x: float, y: float, name: str, said: str, fill: str = MEMORY_TINT) -> str:
    """Memory tokens, or an update of them."""
    return tokens(x, y, 'memory', fill, name, said)


def join(x: float, edge: float, upper: str, lower: str) -> str:
    """Arrows from the two streams at the left into a box whose left edge is given."""
    bend = edge - 34
    return (arrow([(x, TOP), (bend, TOP), (bend, MIDDLE - 16), (edge - 1, MIDDLE - 16)], upper)
            + arrow([(x, BOTTOM), (bend, BOTTOM), (bend, MIDDLE + 16), (edge - 1, MIDDLE + 16)], lower))


def read() -> tuple[int, int, str]:
    """Equation 1."""
    return 800, 194, (process(50, TOP, 'process P', 'target, K × d') + memory(50, BOTTOM, 'memory M', 'source, T × d')
                      + join(200, 290, PROCESS, MEMORY) + box(350, MIDDLE, 120, 74, 'Read head', MEMORY_TINT, MEMORY)
                      + arrow([(410, MIDDLE), (486, MIDDLE)], MEMORY)
                      + process(515, MIDDLE, 'R', 'what was read, K × d', MEMORY_TINT))


def encode() -> tuple[int, int, str]:
    """Equation 2."""
    return 800, 194, (process(50, TOP, 'process P', 'K × d') + process(50, BOTTOM, 'R', 'what was read', MEMORY_TINT)
                      + join(200, 290, PROCESS, MEMORY) + box(335, MIDDLE, 90, 74, 'Fusion', PROCESS_TINT, PROCESS)
                      + arrow([(380, MIDDLE), (424, MIDDLE)], PROCESS)
                      + box(500, MIDDLE, 150, 74, ['Encoder', 'attention, MLP'], PROCESS_TINT, PROCESS)
                      + arrow([(575, MIDDLE), (631, MIDDLE)], PROCESS) + process(660, MIDDLE, 'process P', 'K × d'))


def write() -> tuple[int, int, str]:
    """Equation 3."""
    return 800, 194, (memory(50, TOP, 'memory M', 'target, T × d') + process(50, BOTTOM, 'process P', 'source, K × d')
                      + join(200, 290, MEMORY, PROCESS)
                      + box(350, MIDDLE, 120, 74, 'Write head', PROCESS_TINT, PROCESS)
                      + arrow([(410, MIDDLE), (486, MIDDLE)], PROCESS)
                      + memory(515, MIDDLE, 'W', 'what was written, T × d', PROCESS_TINT))


def remember() -> tuple[int, int, str]:
    """Equation 4."""
    return 800, 194, (memory(50, TOP, 'memory M', 'T × d') + memory(50, BOTTOM, 'W', 'what was written', PROCESS_TINT)
                      + join(200, 290, MEMORY, PROCESS) + box(350, MIDDLE, 120, 74, 'Fusion', MEMORY_TINT, MEMORY)
                      + arrow([(410, MIDDLE), (486, MIDDLE)], MEMORY)
                      + memory(515, MIDDLE, 'memory M', 'T × d; never encoded'))


def projections(q: list[str], k: list[str], v: list[str]) -> str:
    """Target and source of a head, and the queries, keys and values made of them."""
    y_key, y_value = 130, 196
    return (process(50, TOP, 'target', 'Nt × d') + memory(50, 163, 'source', 'Ns × d')
            + arrow([(150, TOP), (203, TOP)], PROCESS)
            + arrow([(150, 163), (176, 163), (176, y_key), (203, y_key)], MEMORY)
            + arrow([(150, 163), (176, 163), (176, y_value), (203, y_value)], MEMORY)
            + box(270, TOP, 132, 52, q, PROCESS_TINT, PROCESS) + box(270, y_key, 132, 52, k, MEMORY_TINT, MEMORY)
            + box(270, y_value, 132, 52, v, MEMORY_TINT, MEMORY))


def summary_head(q: list[str], k: list[str], v: list[str], summary: list[str], out: list[str]) -> tuple[int, int, str]:
    """A head that makes a c x d summary of the source, which the queries read."""
    return 860, 236, (projections(q, k, v)
                      + arrow([(336, 130), (366, 130), (366, 150), (393, 150)], MEMORY)
                      + arrow([(336, 196), (366, 196), (366, 176), (393, 176)], MEMORY)
                      + box(460, 163, 132, 56, summary, MEMORY_TINT, MEMORY)
                      + arrow([(526, 163), (556, 163), (556, MIDDLE + 18), (583, MIDDLE + 18)], MEMORY)
                      + arrow([(336, TOP), (556, TOP), (556, MIDDLE - 18), (583, MIDDLE - 18)], PROCESS)
                      + box(650, MIDDLE, 132, 74, out) + arrow([(716, MIDDLE), (750, MIDDLE)])
                      + process(779, MIDDLE, 'out', 'Nt × d', MEMORY_TINT))


def head_linear() -> tuple[int, int, str]:
    """Linear attention."""
    return summary_head(['φ(q)', 'Nt × c'], ['φ(k)', 'Ns × c'], ['v', 'Ns × d'], ['φ(k)ᵀ v', 'c × d'],
                        ['φ(q) · summary,', 'divided by', 'φ(q) · Σ φ(k)'])


def head_latent() -> tuple[int, int, str]:
    """Latent attention."""
    return summary_head(['softmax(LN(q))', 'over channels'], ['softmax(LN(k))', 'over tokens'], ['LN(v)', 'Ns × d'],
                        ['kᵀ v', 'c × d'], ['q · summary,', 'then a', 'projection'])


def head_cross() -> tuple[int, int, str]:
    """Cross attention."""
    return 860, 236, (projections(['LN(q)', 'Nt × d'], ['LN(k)', 'Ns × d'], ['LN(v)', 'Ns × d'])
                      + arrow([(336, TOP), (366, TOP), (366, MIDDLE - 18), (393, MIDDLE - 18)], PROCESS)
                      + arrow([(336, 130), (366, 130), (366, MIDDLE + 12), (393, MIDDLE + 12)], MEMORY)
                      + box(460, MIDDLE, 132, 60, ['softmax(q kᵀ)', 'Nt × Ns']) + arrow([(526, MIDDLE), (583, MIDDLE)])
                      + arrow([(336, 196), (556, 196), (556, MIDDLE + 24), (583, MIDDLE + 24)], MEMORY)
                      + box(650, MIDDLE, 132, 74, ['weights · v,', 'then a', 'projection'])
                      + arrow([(716, MIDDLE), (750, MIDDLE)]) + process(779, MIDDLE, 'out', 'Nt × d', MEMORY_TINT))


def head_token_summary() -> tuple[int, int, str]:
    """Token summarisation."""
    return 960, 216, (process(50, TOP, 'target', 'Nt × d') + memory(50, BOTTOM, 'source', 'Ns × d')
                      + join(150, 234, PROCESS, MEMORY) + box(290, MIDDLE, 112, 74, ['concat', '(Ns + Nt) × d'])
                      + arrow([(346, MIDDLE), (388, MIDDLE)]) + box(440, MIDDLE, 102, 74, ['LN, MLP', 'd → Nt'])
                      + arrow([(491, MIDDLE), (533, MIDDLE)])
                      + box(600, MIDDLE, 132, 74, ['softmax', 'over tokens', '(Ns + Nt) × Nt'])
                      + arrow([(666, MIDDLE), (700, MIDDLE)]) + box(755, MIDDLE, 108, 74, ['weighted', 'sums'])
                      + arrow([(290, MIDDLE + 37), (290, 182), (755, 182), (755, MIDDLE + 38)])
                      + text(520, 199, 'the tokens themselves, before the norm', 12.5, GREY)
                      + arrow([(809, MIDDLE), (829, MIDDLE)]) + process(858, MIDDLE, 'out', 'Nt × d', MEMORY_TINT))


def fusion(x: float, name: str, formula: str, target: str | None, update: str) -> str:
    """One fusion: the factors of target and update, '' for 1 and None for 0, and what comes of them."""
    x_join, y_target, y_update = x + 178, 62, 128
    parts = [text(x + 120, 22, name, 15, INK, weight='bold'), text(x + 22, y_target, 'target', 13, PROCESS),
             text(x + 22, y_update, 'update', 13, MEMORY), text(x + 120, 170, formula, 13.5, style='italic')]
    if target is None:
        parts += [arrow([(x + 48, y_target), (x + 92, y_target)], PROCESS), text(x + 104, y_target, '×', 20, PROCESS),
                  arrow([(x + 48, y_update), (x_join, y_update), (x_join, 95), (x_join + 52, 95)], MEMORY)]
        return ''.join(parts)
    for y, end, colour, factor in ((y_target, 79, PROCESS, target), (y_update, 111, MEMORY, update)):
        parts.append(arrow([(x + 48, y), (x_join, y), (x_join, end)], colour))
        if factor:
            parts.append(box(x + 105, y, 58, 30, factor, '#ffffff', colour, size=13))
    parts += [f'<circle cx="{x_join}" cy="95" r="15" fill="#ffffff" stroke="{INK}" stroke-width="1.5"/>',
              text(x_join, 95, '+', 18), arrow([(x_join + 15, 95), (x_join + 52, 95)], PROCESS)]
    return ''.join(parts)


def fusions() -> tuple[int, int, str]:
    """The three fusions."""
    return 860, 206, (fusion(10, 'Add', 'target + update', '', '')
                      + fusion(300, 'Erase', 'update', None, '')
                      + fusion(590, 'Add-erase', 'target (1 − a) + update a', '1 − a', 'a')
                      + text(590 + 120, 192, 'a = sigmoid(W mean(update))', 12.5, GREY))


def frame(left: float, name: str, hidden: bool) -> str:
    """A frame on its way to labels: up into the machine, and down again with what it knows."""
    up, down = left + 53, left + 187  # middles of both ways
    picture = landscape(up, 336, 72, *IMAGE) + rect(up + 3, 304, 30, 68, '#2b2b2b', INK, 0) * hidden
    return (box(left + 120, 38, 240, 56, ['Token Turing Machine', 'read, process, write'], MEMORY_TINT, MEMORY)
            + box(up, 176, 106, 54, ['process and', 'memory tokens'], PROCESS_TINT, PROCESS, 12.5)
            + box(down, 176, 106, 54, ['the same, with', 'what was read'], PROCESS_TINT, PROCESS, 12.5)
            + box(up, 254, 106, 38, 'ViTTM') + box(down, 254, 106, 38, 'decode head')
            + picture + landscape(down, 336, 72, *LABELS) + text(up, 388, name) + text(down, 388, 'labels')
            + arrow([(up, 300), (up, 274)]) + arrow([(up, 235), (up, 204)])
            + arrow([(up, 149), (up, 67)], PROCESS) + text(up - 8, 108, 'inputs', 13, PROCESS, 'end')
            + arrow([(down, 66), (down, 148)], MEMORY) + text(down + 8, 108, 'outputs', 13, MEMORY, 'start')
            + arrow([(up + 53, 176), (down - 54, 176)], PROCESS)
            + arrow([(down, 203), (down, 234)]) + arrow([(down, 273), (down, 299)]))


def streaming() -> tuple[int, int, str]:
    """A machine takes in the tokens of each frame, and carries its memory to the next."""
    lefts = (70, 410, 750)
    ways = [(20, 69, 'zeros'), (310, 409, 'memory'), (650, 749, 'memory'), (990, 1059, 'memory')]
    return 1080, 404, (''.join(frame(left, f'frame {number}', number == 2) for number, left in enumerate(lefts, 1))
                       + ''.join(arrow([(start, 38), (end, 38)], MEMORY)
                                 + text((start + end) / 2, 26, said, 13, MEMORY) for start, end, said in ways))


FIGURES = {draw.__name__: draw for draw in (read, encode, write, remember, head_linear, head_cross, head_latent,
                                            head_token_summary, fusions, streaming)}


def figure(name: str) -> str:
    """Returns a figure as SVG text."""
    draw = FIGURES[name]
    width, height, body = draw()
    heads = ''.join(marker(colour) for colour in (INK, PROCESS, MEMORY))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="{FONT}" role="img" aria-labelledby="title"><title id="title">{draw.__doc__}</title>'
            f'<defs>{heads}</defs><rect width="{width}" height="{height}" fill="#ffffff"/>{body}</svg>\n'
            ).replace('><', '>\n<')


def main() -> None:
    """Writes all figures."""
    (DOCS / 'figures').mkdir(exist_ok=True)
    for name in FIGURES:
        (DOCS / 'figures' / f'{name}.svg').write_text(figure(name), encoding='utf-8')


if __name__ == '__main__':
    main()
