"""torch.compile of what ViTTM is compared with, for inference: one graph, the same numbers."""
import pytest
import torch
from tiny_models import TINY, images

from mmseg_vittm import LookupViT, RevViT, ToMe, ViTTM

SHALLOW = TINY | dict(num_layers=2)
# ALGM, whose shapes depend on the image, is not to be compiled: tests/inference/test_fast.py.
RIVALS = {
    'tome': lambda: ToMe(model_name='vit_tiny_patch16_224', img_size=64, num_layers=2, merge_tokens=3),
    'lookupvit': lambda: LookupViT(arch=SHALLOW, img_size=56, patch_size=14, compressed_grid=3),
    'revvit': lambda: RevViT(arch=SHALLOW, img_size=56, patch_size=14),
    'merging': lambda: ViTTM(arch=SHALLOW, img_size=56, process_patch_size=14, memory_patch_size=7, merge_tokens=2),
}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize('name', RIVALS)
@torch.no_grad()
def test_compiles_whole(name):
    torch.manual_seed(0)
    backbone = RIVALS[name]().eval()
    compiled = torch.compile(backbone, fullgraph=True, backend='aot_eager')
    for height, width in ((56, 56), (70, 99)):
        x = images(height, width)
        torch.testing.assert_close(compiled(x), backbone(x), atol=1e-4, rtol=1e-4)
