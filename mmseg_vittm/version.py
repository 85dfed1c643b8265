"""Version of the package; pyproject.toml has setuptools read the literal, without importing it."""

__version__ = '0.1.0'
