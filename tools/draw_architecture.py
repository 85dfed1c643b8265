"""Draws the figure of the architecture as an SVG, by plain string building."""

import argparse
from html import escape

TOP, WIDTH, HEIGHT = 48, 1164, 472
FONT = 'Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif'

# Okabe-Ito, with tints of the same hues as fills: streams differ in lightness as well as in hue.
INK, GREY, FAINT = '#1a1a1a', '#595959', '#f4f4f4'
PROCESS, PROCESS_TINT = '#d55e00', '#fbe3d3'
MEMORY, MEMORY_TINT = '#0072b2', '#d6e9f5'
# Sky, sun, hill and meadow of the image and of its label map.
IMAGE = ('#cfe8f7', '#f0c419', '#8c8c8c', '#7fb77e')
LABELS = ('#56b4e9', '#e69f00', '#cc79a7', '#009e73')

# The centre lines of the two lanes, and of the read and write arrows between them.
Y_PROCESS, Y_MEMORY = 170, 400
MIDDLE = (Y_PROCESS + Y_MEMORY) / 2


def text(x, y, content, size=14, fill=INK, anchor='middle', weight='normal', style='normal'):
    """One line of text; `y` is its vertical centre."""
    return (f'<text x="{x}" y="{y + 0.35 * size:.1f}" font-size="{size}" fill="{fill}" '
            f'text-anchor="{anchor}" font-weight="{weight}" font-style="{style}">'
            f'{escape(content)}</text>')


def lines(x, y, contents, size=14, leading=18, **kwargs):
    """Lines of text centred on `y`."""
    top = y - leading * (len(contents) - 1) / 2
    return ''.join(text(x, top + i * leading, c, size, **kwargs) for i, c in enumerate(contents))


def equation(x, y, content, number):
    """One of the paper's equations with its number."""
    return (f'<text x="{x}" y="{y + 5}" font-size="14" fill="{INK}" text-anchor="middle" '
            f'font-style="italic">{escape(content)}<tspan dx="8" font-size="12.5" '
            f'font-style="normal" fill="{GREY}">({number})</tspan></text>')


def rect(x, y, width, height, fill='#ffffff', stroke=INK, radius=5, stroke_width=1.5, dash=None):
    """A rectangle by its top left corner."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ''
    return (f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="{stroke_width}"{dashes}/>')


def box(x, y, width, height, label, fill='#ffffff', stroke=INK, size=14):
    """A labelled box centred on (x, y); `label` is one line or a list of lines."""
    contents = [label] if isinstance(label, str) else label
    frame = rect(x - width / 2, y - height / 2, width, height, fill, stroke)
    return frame + lines(x, y, contents, size)


def arrow(points, colour=INK, dash=None):
    """A polyline through `points`, with a head at the last of them."""
    path = ' '.join(f'{x},{y}' for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ''
    return (f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes} '
            f'marker-end="url(#head-{colour[1:]})"/>')


def marker(colour):
    """The arrow head of one colour; its tip is the end of the line."""
    return (f'<marker id="head-{colour[1:]}" viewBox="0 0 10 10" refX="9.5" refY="5" '
            'markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path d="M0,0.5 L10,5 L0,9.5 z" fill="{colour}"/></marker>')


def fusion(x, y, colour, tint):
    """A fusion of a stream with its update."""
    return box(x, y, 58, 30, 'Fusion', tint, colour, size=13)


def grid(x, y, side, cells, fill, stroke):
    """A square token grid centred on (x, y)."""
    step = side / cells
    left, top = x - side / 2, y - side / 2
    parts = [rect(left, top, side, side, fill, stroke, radius=0, stroke_width=1.2)]
    for i in range(1, cells):
        offset = i * step
        parts.append(f'<path d="M{left + offset:.1f},{top} v{side} M{left},{top + offset:.1f} '
                     f'h{side}" stroke="{stroke}" stroke-width="0.8"/>')
    return ''.join(parts)


def landscape(x, y, side, sky, sun, hill, meadow):
    """A square picture of four regions centred on (x, y)."""
    left, top = x - side / 2, y - side / 2
    at = [f'{left + u * side:.1f},{top + v * side:.1f}' for u, v in ((0, .7), (.38, .3), (.76, .7))]
    return (rect(left, top, side, side, sky, 'none', 0)
            + f'<circle cx="{left + 0.75 * side}" cy="{top + 0.25 * side}" r="{0.11 * side}" '
              f'fill="{sun}"/><path d="M{at[0]} L{at[1]} L{at[2]} z" fill="{hill}"/>'
            + rect(left, top + 0.68 * side, side, 0.32 * side, meadow, 'none', 0)
            + rect(left, top, side, side, 'none', INK, 0, 1.2))


def inputs():
    """Image, and the patch embeddings that begin the two lanes."""
    parts = [landscape(62, MIDDLE, 76, *IMAGE), text(62, MIDDLE + 54, 'image')]
    for y, colour, tint, cells, name, count in (
            (Y_PROCESS, PROCESS, PROCESS_TINT, 3, 'process tokens P', 'few: K, large patches'),
            (Y_MEMORY, MEMORY, MEMORY_TINT, 6, 'memory tokens M', 'many: T ≥ K, small patches')):
        edge = MIDDLE + (-38 if y < MIDDLE else 38 + 28)
        start = (62, edge)
        parts.append(arrow([start, (62, y), (104, y)], colour))
        parts.append(box(160, y, 110, 54, ['patch embed', '+ position'], tint, colour))
        parts.append(arrow([(216, y), (236, y)], colour))
        parts.append(grid(264, y, 54, cells, tint, colour))
        side = -1 if y < MIDDLE else 1
        parts.append(text(212, y + side * 66, name, 15, colour, weight='bold'))
        parts.append(text(212, y + side * 48, count, 12.5, GREY))
    return ''.join(parts)


def block():
    """The block of equations 1 to 4, repeated N times."""
    left, right = 312, 858
    x_read_norm, x_read, x_encoder, x_write_norm, x_write = 352, 444, 571, 681, 774
    x_read_fusion, x_write_fusion = 444, 774
    parts = [rect(left, 66, right - left, 418, FAINT, '#a6a6a6', 12, 1.5, '6 4'),
             text(left + 16, 88, 'ViTTM block l = 1 … N', 15, INK, 'start', 'bold')]

    # The norms span both lanes.
    for x, name in ((x_read_norm, 'read_norm'), (x_write_norm, 'write_norm')):
        top, bottom = Y_PROCESS - 28, Y_MEMORY + 28
        parts.append(rect(x - 15, top, 30, bottom - top, '#ffffff', GREY))
        parts.append(f'<g transform="rotate(-90 {x} {MIDDLE})">{text(x, MIDDLE, name)}</g>')

    # Process lane: norm, read fusion, encoder, norm, on.
    y = Y_PROCESS
    parts += [arrow([(291, y), (x_read_norm - 16, y)], PROCESS),
              arrow([(x_read_norm + 15, y), (x_read_fusion - 30, y)], PROCESS),
              fusion(x_read_fusion, y, PROCESS, PROCESS_TINT),
              arrow([(x_read_fusion + 29, y), (x_encoder - 61, y)], PROCESS),
              box(x_encoder, y, 120, 66, ['Encoder', 'attention, MLP'], PROCESS_TINT, PROCESS),
              arrow([(x_encoder + 60, y), (x_write_norm - 16, y)], PROCESS),
              arrow([(x_write_norm + 15, y), (897, y)], PROCESS)]

    # Memory lane: norm, norm, write fusion, on.
    y = Y_MEMORY
    parts += [arrow([(291, y), (x_read_norm - 16, y)], MEMORY),
              arrow([(x_read_norm + 15, y), (x_write_norm - 16, y)], MEMORY),
              arrow([(x_write_norm + 15, y), (x_write_fusion - 30, y)], MEMORY),
              fusion(x_write_fusion, y, MEMORY, MEMORY_TINT),
              arrow([(x_write_fusion + 29, y), (897, y)], MEMORY)]

    # Read: memory to process; the target's tokens join on the left.
    parts += [box(x_read, MIDDLE, 84, 40, 'Read head', MEMORY_TINT, MEMORY),
              arrow([(x_read, Y_MEMORY), (x_read, MIDDLE + 21)], MEMORY),
              arrow([(x_read, MIDDLE - 20), (x_read, Y_PROCESS + 16)], MEMORY),
              arrow([(x_read_norm + 34, Y_PROCESS), (x_read_norm + 34, MIDDLE),
                     (x_read - 43, MIDDLE)], PROCESS),
              dot(x_read, Y_MEMORY, MEMORY), dot(x_read_norm + 34, Y_PROCESS, PROCESS),
              text(x_read + 9, (Y_PROCESS + MIDDLE) / 2, 'R', 15, INK, 'start', style='italic')]

    # Write: process to memory, mirrored.
    parts += [box(x_write, MIDDLE, 84, 40, 'Write head', PROCESS_TINT, PROCESS),
              arrow([(x_write, Y_PROCESS), (x_write, MIDDLE - 21)], PROCESS),
              arrow([(x_write, MIDDLE + 20), (x_write, Y_MEMORY - 16)], PROCESS),
              arrow([(x_write_norm + 33, Y_MEMORY), (x_write_norm + 33, MIDDLE),
                     (x_write - 43, MIDDLE)], MEMORY),
              dot(x_write, Y_PROCESS, PROCESS), dot(x_write_norm + 33, Y_MEMORY, MEMORY),
              text(x_write + 9, (Y_MEMORY + MIDDLE) / 2, 'W', 15, INK, 'start', style='italic')]

    # Equations, each beside what it describes.
    parts += [equation(576, MIDDLE, 'R = Read(P, M)', 1),
              equation(516, Y_PROCESS - 50, 'P = Encoder(Fusion(P, R))', 2),
              equation(x_write, Y_PROCESS - 50, 'W = Write(P, M)', 3),
              equation(x_write, Y_MEMORY + 50, 'M = Fusion(M, W)', 4),
              text(516, Y_MEMORY + 50, 'memory is never encoded', 13, MEMORY)]
    return ''.join(parts)


def dot(x, y, colour):
    """Where a line branches off a lane."""
    return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'


def decoder():
    """Streams to maps to labels."""
    x, x_head = 928, 1084
    parts = [grid(x, Y_PROCESS, 60, 3, PROCESS_TINT, PROCESS),
             grid(x, Y_MEMORY, 60, 6, MEMORY_TINT, MEMORY),
             text(x, Y_PROCESS - 48, 'process map', 13, PROCESS),
             text(x, Y_MEMORY + 48, 'memory map', 13, MEMORY),
             text(x, Y_MEMORY + 65, "out_tokens='concat'", 12.5, GREY),
             box(x, MIDDLE, 96, 54, ['concat', '(process first)'], size=12.5),
             arrow([(x, Y_PROCESS + 31), (x, MIDDLE - 28)], PROCESS),
             arrow([(x, Y_MEMORY - 31), (x, MIDDLE + 28)], MEMORY, dash='5 4'),
             arrow([(x + 48, MIDDLE), (x_head - 57, MIDDLE)]),
             box(x_head, MIDDLE, 112, 74, ['Segmenter', 'mask', 'transformer']),
             arrow([(x_head, MIDDLE + 37), (x_head, 347)]),
             box(x_head, 362, 112, 30, 'upsample'),
             arrow([(x_head, 377), (x_head, 403)]),
             landscape(x_head, 442, 76, *LABELS),
             text(x_head, 442 + 54, 'labels')]
    return ''.join(parts)


def draw() -> str:
    """Returns the figure as SVG text."""
    heads = ''.join(marker(colour) for colour in (INK, PROCESS, MEMORY))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 {TOP} {WIDTH} {HEIGHT}" font-family="{FONT}" role="img" '
            'aria-labelledby="title"><title id="title">Architecture of ViTTM: a process and a '
            'memory token stream with reads and writes in each block</title>'
            f'<defs>{heads}</defs>'
            f'<rect y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
            f'{inputs()}{block()}{decoder()}</svg>\n').replace('><', '>\n<')


def main() -> None:
    """Writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', nargs='?', default='docs/architecture.svg',
                        help='the SVG to write (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace it where it is there already')
    args = parser.parse_args()
    from mmseg_vittm.outputs import claim_file, write_whole  # here: docs/figures.py needs the shapes alone
    write_whole(claim_file(args.output, args.overwrite), draw())


if __name__ == '__main__':
    from mmseg_vittm.commands.options import run
    run(main)
