"""From the benchmark's files to pictures."""
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from plotted import BARS, CROWD, METAFILES, SMALL_VITTM, VIT, VITTM, example, extents, overlapping, record, write
from tool_runs import error_of, run_tool

from mmseg_vittm.errors import InputError, OutputError
from mmseg_vittm.measure.plots.draw import draw_plots
from mmseg_vittm.measure.plots.pareto import pareto_figure
from mmseg_vittm.measure.plots.stages import stages_figure
from mmseg_vittm.visualization.style import SMALL

OUTPUTS = ['pareto.png', 'pareto.svg', 'stages.png', 'stages.svg']


def draw(folder: Path, *files: str, **options) -> list[Path]:
    return draw_plots(files, str(folder), METAFILES, **options)


@pytest.mark.parametrize('make', [lambda note, title: pareto_figure(CROWD, 'predict', note, title),
                                  lambda note, title: stages_figure(BARS, note, title)])
def test_everything_is_on_the_page_and_large_enough(make, style):
    figure = make('A long footnote ' * 30, 'A long title ' * 12)
    figure.canvas.draw()
    assert 6 <= figure.get_figwidth() <= 7 and to_hex(figure.get_facecolor()) == '#ffffff'
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= SMALL == 8
    lower = [text for text in texts if text.get_text() in (figure.get_supxlabel(), figure.axes[0].get_xlabel())]
    assert len(lower) == 2 and overlapping(lower, extents(figure, lower)) == []
    for artist in [*figure.texts, *figure.legends, figure.axes[0].xaxis.label, figure.axes[0].yaxis.label,
                   *figure.axes[0].get_yticklabels()]:
        box = artist.get_window_extent(figure.canvas.get_renderer())
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, artist


def svg_texts(path: Path) -> list[str]:
    """What an SVG writes as text; it must be XML."""
    return [''.join(node.itertext()) for node in ElementTree.parse(path).iter('{http://www.w3.org/2000/svg}text')]


def test_the_same_files_whatever_matplotlib_is_set_to(tmp_path, log_lines):
    file = example(tmp_path)
    written = draw(tmp_path / 'one', file, title='Price: $5 & $6')
    assert sorted(path.name for path in written) == OUTPUTS
    assert sorted(path.name for path in (tmp_path / 'one').iterdir()) == OUTPUTS
    with matplotlib.rc_context({'axes.facecolor': 'black', 'font.size': 20, 'svg.fonttype': 'path'}):
        before = dict(matplotlib.rcParams)
        draw(tmp_path / 'two', file, title='Price: $5 & $6')
        assert dict(matplotlib.rcParams) == before
    for name in OUTPUTS:
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes(), name
    for name in ('pareto', 'stages'):
        said = svg_texts(tmp_path / 'one' / f'{name}.svg')
        assert {'ViTTM-B(64, 64)', 'ViT-B/16', 'Price: $5 & $6'} <= set(said)
        assert ('ViTTM-S(64, 64)' in said) == (name == 'stages')
        assert any('A <CPU> & more' in text for text in said)
        assert 'dc:date' not in (tmp_path / 'one' / f'{name}.svg').read_text()


@pytest.mark.parametrize('name', OUTPUTS)
def test_nothing_is_overwritten_unasked(name, tmp_path, log_lines):
    out = tmp_path / 'out'
    out.mkdir()
    (out / name).write_text('precious')
    with pytest.raises(InputError, match=f'{name}: there already; .*overwrite=True'):
        draw(out, str(tmp_path / 'not read yet.json'))
    assert [path.name for path in out.iterdir()] == [name] and (out / name).read_text() == 'precious'


def test_overwrite_and_wrong_folders(tmp_path, log_lines):
    (tmp_path / 'pareto.svg').write_text('old')
    (tmp_path / 'stages.svg').write_text('old')
    file = write(tmp_path / 'a.json', record(protocol='throughput', stages_ms=dict.fromkeys(['backbone', 'head'])))
    draw(tmp_path, file, overwrite=True)
    assert (tmp_path / 'pareto.svg').read_text() != 'old' and (tmp_path / 'stages.svg').read_text() == 'old'
    assert any(f'No stage plot, for want of latencies by stage (throughput): {VITTM}' in line for _, line in log_lines)
    assert any(f'{tmp_path / "stages.svg"}: of an earlier run' in line for _, line in log_lines)
    with pytest.raises(OutputError, match='a.json: cannot be written .Not a directory'):
        draw(Path(file), file)
    with pytest.raises(OutputError, match='inside: cannot be written'):
        draw(Path(file) / 'inside', file)


def test_stages_of_some_configs(tmp_path, log_lines):
    draw(tmp_path, write(tmp_path / 'a.json', record(), record(VIT, stages_ms=None)))
    assert 'ViT-B/16' in svg_texts(tmp_path / 'pareto.svg') and 'ViT-B/16' not in svg_texts(tmp_path / 'stages.svg')
    assert any(line.startswith('Not in the stage plot') and VIT in line for _, line in log_lines)


def test_nothing_is_written_where_an_input_is_wrong(tmp_path, log_lines):
    with pytest.raises(InputError, match='no mIoU is known'):
        draw(tmp_path / 'out', write(tmp_path / 'a.json', record(SMALL_VITTM)))
    with pytest.raises(InputError, match='no number'):
        draw(tmp_path / 'out', example(tmp_path), mious=[f'{VIT}=x'])
    assert not (tmp_path / 'out').exists()


def test_tool(tmp_path, log_lines):
    file, out = example(tmp_path), tmp_path / 'out'
    command = ('plot.py', file, '-o', out, '--miou', f'{VITTM}=44.5', '--title', 'A title')
    done = run_tool(*command)
    assert f'{SMALL_VITTM}=VALUE' in done.stdout + done.stderr
    draw(tmp_path / 'here', file, mious=[f'{VITTM}=44.5'], title='A title')
    for name in OUTPUTS:  # in another process too
        assert (out / name).read_bytes() == (tmp_path / 'here' / name).read_bytes(), name
    assert {'mIoU: measured', 'mIoU: published'} <= set(svg_texts(out / 'pareto.svg'))
    assert 'there already' in error_of(run_tool(*command, succeeds=False))
