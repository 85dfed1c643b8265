"""How Sphinx builds these pages: `sphinx-build -W -b html docs docs/_build`."""
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS)]

import api_pages  # noqa: E402

import mmseg_vittm  # noqa: E402

project = 'mmseg_vittm'
author = 'the mmseg_vittm maintainers'
version = release = mmseg_vittm.__version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx_copybutton']
exclude_patterns = ['_build']

myst_enable_extensions = ['colon_fence']
myst_heading_anchors = 3  # a page may link to '#heading' and 'page.md#heading'

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # 'Attributes:' of a class as a list, beside its members' own entries
default_role = 'code'  # docstrings quote code in single backticks

html_theme = 'furo'
html_title = f'mmseg_vittm {version}'
html_static_path = ['_static']
html_css_files = ['tables.css']
html_copy_source = False
html_show_copyright = False

api_pages.write(DOCS / 'api')


def end_code(app, what, name, obj, options, docstring: list[str]) -> None:
    """Lets code in docstrings be followed by a letter, as in `optimize`d, which reStructuredText does not allow."""
    docstring[:] = [re.sub(r'(?<![`\w])(`[^`]+`)(?=\w)', r'\1\\ ', line) for line in docstring]


def setup(app) -> None:
    """Connects what changes docstrings."""
    app.connect('autodoc-process-docstring', end_code)
