"""Tiny laboratories: plans of models of 2 layers on a handful of toy scenes."""
import copy
from pathlib import Path

import yaml
from tool_runs import write_config

# Beside the validation scenes, a split of other light: here those of training. 4 iterations, as in tool_runs.
SHIFT = """
model['auxiliary_head'] = None
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'), **dataset))
"""
VIT = """
_base_ = './vittm.py'
model = dict(
    backbone=dict(_delete_=True, type='ViTBackbone', model_name='vit_tiny_patch16_224', num_layers=1, img_size=(64, 64),
                  patch_size={patch}),
    decode_head=dict(in_channels=192))
"""
PLAN = dict(
    data=[dict(name='toy', image_size=[64, 64])],
    seeds=[0, 1],
    speed=dict(images=3, warmup=1, dtypes=['fp32'], threads=[1]),
    rows=[dict(name='vit_16', title='ViT/16', config='vit_16.py', seeds=[0]),
          dict(name='vittm', title='ViTTM', config='vittm.py')])


def write_laboratory(folder: Path, plan: dict = PLAN, **changes) -> Path:
    """Writes configs of a ViTTM and of two plain ViTs, their data beside them, and a plan; its configs are theirs.

    Args:
        folder: The folder.
        plan: The plan.
        **changes: Of its sections.
    """
    write_config(folder, 'vittm.py', SHIFT)
    for patch in (16, 32):
        (folder / f'vit_{patch}.py').write_text(VIT.format(patch=patch))
    plan = copy.deepcopy(plan | changes)
    for one in [*(plan['rows'] or []), *plan['data']]:
        if isinstance(one, dict) and isinstance(one.get('config'), str) and one['config']:
            one['config'] = str(folder / one['config'])
    path = folder / 'plan.yaml'
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    return path
