"""The package's version, as pyproject has it."""

__version__ = "0.1.0"
