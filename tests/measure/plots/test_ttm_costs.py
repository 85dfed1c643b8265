"""The plot of what a step costs against how long the video is."""
import pytest
from plotted import extents, overlapping, texts_of

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.complexity.ttm_growth import Growth
from mmseg_vittm.measure.plots.ttm_costs import claim_plot, costs_figure, write_costs

GROWTHS = [Growth('flat', (1, 10, 100), (0.2, 0.2, 0.2), grows=False),
           Growth('other', (1, 10, 100), (0.1, 0.1, 0.1), grows=False),
           Growth('growing', (1, 10, 100), (0.2, 0.9, 44.0), grows=True)]


def test_costs_are_drawn(style):
    figure = costs_figure(GROWTHS)
    axes, = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ('log', 'log')
    drawn = [(tuple(line.get_xdata()), tuple(line.get_ydata()), line.get_linestyle()) for line in axes.lines]
    assert drawn == [(one.steps, one.gflops, '-' if one.grows else '--') for one in GROWTHS]
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 3
    assert {text.get_text() for text in figure.legends[0].texts} >= {'flat', 'other', 'growing'}
    assert any('multiply-adds' in text for text in texts_of(figure))


def test_texts_keep_clear(style):
    figure = costs_figure(GROWTHS)
    figure.canvas.draw()
    axes = figure.axes[0]
    ticks = [label for axis in (axes.xaxis, axes.yaxis) for place, label in zip(
        axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        if axis.get_view_interval()[0] <= place <= axis.get_view_interval()[1]]
    texts = [*(text for text in figure.legends[0].texts if text.get_text().strip()), *ticks, axes.xaxis.label,
             axes.yaxis.label]
    boxes = extents(figure, texts)
    assert len(ticks) > 4 and overlapping(texts, boxes) == []
    assert all(min(box) >= 0 and box[2] <= figure.bbox.width and box[3] <= figure.bbox.height for box in boxes)
    assert {label.get_text() for label in ticks} >= {'0.1', '1', '10', '100'}


@pytest.mark.parametrize('name,begins', [('costs.svg', b'<?xml'), ('costs.PNG', b'\x89PNG')])
def test_files(tmp_path, name, begins):
    for _ in range(2):
        path = claim_plot(str(tmp_path / 'new' / name), overwrite=True)
        write_costs(path, GROWTHS)
        content = path.read_bytes()
        assert content.startswith(begins)
        write_costs(path, GROWTHS)
        assert path.read_bytes() == content
    with pytest.raises(InputError, match='there already; give another name, or overwrite=True'):
        claim_plot(str(path), overwrite=False)


@pytest.mark.parametrize('name', ['costs', 'costs.pdf', 'svg', '.svg', ''])
def test_other_endings(tmp_path, name):
    with pytest.raises(InputError, match=r'a plot ends in \.png or \.svg; give such a name'):
        claim_plot(name, overwrite=True)
