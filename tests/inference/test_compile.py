"""torch.compile and torch.export of the encoder: one graph, the same numbers."""
import pytest
import torch
from tiny_models import TINY, images, random_loss, tiny_encoder

from mmseg_vittm.vittm import HEADS

SHALLOW = TINY | dict(num_layers=2)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def gradients(run, encoder) -> list[torch.Tensor]:
    encoder.zero_grad()
    random_loss(run(images(batch=1))).backward()
    return [weight.grad.clone() for weight in encoder.parameters()]


@pytest.mark.parametrize('read_write_head', HEADS)
def test_compiles_whole(read_write_head):
    encoder = tiny_encoder(arch=SHALLOW, read_write_head=read_write_head, process_patch_size=28)
    compiled = torch.compile(encoder, fullgraph=True, backend='aot_eager')
    x = images(batch=1)
    torch.testing.assert_close(compiled(x), encoder(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients(compiled, encoder), gradients(encoder, encoder), atol=1e-4, rtol=1e-4)


def test_compiles_for_several_sizes():
    """The second size makes the shapes dynamic, resampled position embeddings and padding included."""
    encoder = tiny_encoder(arch=SHALLOW, process_patch_size=28)
    compiled = torch.compile(encoder, fullgraph=True, backend='aot_eager')
    for height, width in ((56, 56), (70, 99), (112, 85), (84, 140)):
        x = images(height, width, batch=1)
        torch.testing.assert_close(compiled(x), encoder(x), atol=1e-5, rtol=1e-5)
        random_loss(compiled(x)).backward()


@pytest.mark.slow
def test_compiles_with_inductor():
    encoder = tiny_encoder(arch=TINY | dict(num_layers=1)).eval()
    compiled = torch.compile(encoder, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(images()), encoder(images()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('read_write_head', HEADS)
def test_exports(read_write_head):
    encoder = tiny_encoder(arch=SHALLOW, read_write_head=read_write_head, fusion='add_erase').eval()
    program = torch.export.export(encoder, (images(), ))
    other = images(seed=5)
    torch.testing.assert_close(program.module()(other), encoder(other), atol=1e-5, rtol=1e-5)


def test_exports_with_resampled_positions():
    encoder, example, other = tiny_encoder(arch=SHALLOW).eval(), images(70, 100), images(70, 100, seed=5)
    program = torch.export.export(encoder, (example, ))
    torch.testing.assert_close(program.module()(other), encoder(other), atol=1e-5, rtol=1e-5)
