"""Package metadata. Nothing of the package is imported here."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_version() -> str:
    """Return `__version__` of mmseg_vittm/version.py without importing the package."""
    text = (ROOT / 'mmseg_vittm' / 'version.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '([^']+)'$", text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError("mmseg_vittm/version.py holds no line `__version__ = '...'`")
    return match.group(1)


def read_readme() -> str:
    """Return README.md, or nothing where a checkout has none yet."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


setup(
    name='mmseg-vittm',
    version=read_version(),
    description='ViTTM, the Vision Token Turing Machine, as an MMSegmentation backbone',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='computer vision, semantic segmentation, vision transformer, token turing machine',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['mmseg_vittm', 'mmseg_vittm.*']),
    python_requires='>=3.10',
    # Never an mm* package here: upstream OpenMMLab and its maintained forks own the same import
    # names, so a plain install must leave whichever of the two the user has untouched.
    install_requires=[
        'torch>=2.6',  # safe_globals: loading without running code
        'torchvision>=0.21',  # timm imports it; it has to match the torch build
        'timm>=1.0',
        'numpy>=1.26',
        'safetensors>=0.4',
    ],
    extras_require={
        # The maintained forks. They bring rich, matplotlib, OpenCV, SciPy and Pillow, and declare
        # all that they import except torch and torchvision, which the plain install has.
        'mmseg': [
            'onedl-mmengine>=0.10.12',
            'onedl-mmcv>=2.3.6',
            'onedl-mmsegmentation>=1.4.2',
        ],
        'dev': [
            'fvcore>=0.1.5.post20221221',
            'hypothesis>=6.100',
            'pre-commit>=3.5',
            'pytest>=8',
            'pytest-xdist>=3.8',
            'pytest-cov>=7',  # from 7 on, subprocesses are measured by coverage's own `patch`
            'ruff>=0.17,<0.18',  # a minor release may change what the selected rules report
        ],
    },
    zip_safe=False,
)
