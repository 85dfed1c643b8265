"""What the metafiles say of configs: plots take their names and mIoUs from it."""
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from tiny_models import ROOT

FILES = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
COLLECTIONS = {one['Name'] for file in FILES for one in yaml.safe_load((ROOT / file).read_text())['Collections']}
MODELS = [model for file in FILES for model in yaml.safe_load((ROOT / file).read_text())['Models']]


@pytest.mark.parametrize('model', MODELS, ids=[model['Name'] for model in MODELS])
def test_a_model_is_its_config(model):
    path, about = ROOT / model['Config'], model['Metadata']
    assert model['In Collection'] in COLLECTIONS and model['Name'] == path.stem
    assert ('Published mIoU' in about) == ('Published By' in about)
    cfg = Config.fromfile(path)
    assert about['Crop Size'] == '{}x{}'.format(*cfg.crop_size)


def test_names_are_their_own_and_every_measured_config_has_one():
    names = [model['Metadata']['Backbone'] for model in MODELS]
    assert len(names) == len(set(names))
    measured = {Path(line).stem for line in (ROOT / 'benchmarks' / 'configs.txt').read_text().split()}
    assert measured <= {model['Name'] for model in MODELS}
