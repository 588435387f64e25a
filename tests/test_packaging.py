"""pyproject, requirements.lock and environment.yml say the same, and nothing committed names a registry."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ltlib

TOP = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
LOCK = (TOP / "requirements.lock").read_text()


def locked() -> list[str]:
    """The requirement lines of the lock, without their hashes."""
    return [line.rstrip(" \\") for line in LOCK.splitlines() if line and not line.startswith(" ")]


def name(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def direct() -> list[str]:
    groups = PROJECT["dependency-groups"]["dev"]
    return [name(line) for line in [*PROJECT["project"]["dependencies"], *groups]]


def test_every_locked_version_is_a_constraint_and_no_other():
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == locked(), "run .ci/lock"


def test_every_direct_dependency_is_locked():
    assert set(direct()) <= {name(line) for line in locked()}, "run .ci/lock"


def test_every_locked_package_has_hashes():
    blocks = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked())
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.split("\n")[0]


def test_environment_names_the_same_dependencies():
    text = (TOP / "environment.yml").read_text()
    listed = re.findall(r"^      - (\S.*)$", text, re.MULTILINE)
    assert listed[-1] == "-e . --no-deps"
    assert listed[:-1] == PROJECT["project"]["dependencies"]
    assert f"python{PROJECT['project']['requires-python']}" in text


def test_versions_agree():
    assert ltlib.__version__ == PROJECT["project"]["version"]
    assert f"version: {ltlib.__version__}\n" in (TOP / "CITATION.cff").read_text()


TOO_OLD = {
    "tyro": "0.9.20",  # shows a wrong setting in a box instead of one sentence; older ones lack what the commands use
    "nbconvert": "7.16.4",  # every page fails with today's mistune
    "pillow": "12.2.0",  # a YCbCr TIFF ends as truncated
    "safetensors": "0.4.3",  # an empty tensor cannot be read back
}


@pytest.mark.parametrize("package", TOO_OLD)
def test_versions_that_do_not_work_are_not_allowed(package: str):
    (found,) = [Requirement(line) for line in PROJECT["project"]["dependencies"] if name(line) == package]
    assert TOO_OLD[package] not in found.specifier


def test_the_tests_of_the_oldest_versions_are_there():
    (folders,) = re.findall(r"^fast=\((.*)\)$", (TOP / ".ci" / "lowest").read_text(), re.MULTILINE)
    assert len(folders.split()) > 5
    assert all(list((TOP / "tests" / folder).glob("test_*.py")) for folder in folders.split())


def committed() -> list[Path]:
    try:
        out = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [TOP / path for path in out.split("\0") if path]


def test_no_committed_file_names_a_registry():
    hosts = re.compile(rb"(pypi\.org|pythonhosted\.org|anaconda\.org/|registry\.npmjs|download\.pytorch\.org)")
    own = Path(__file__).resolve()
    named = [str(p) for p in committed() if p.is_file() and p != own and hosts.search(p.read_bytes())]
    assert not named


def test_ci_runs_exactly_the_test_command_of_the_readme():
    commands = re.findall(r"^    (\S.*uv run.*)$", (TOP / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert (TOP / ".ci" / "run").read_text().rstrip().splitlines()[-1] == commands[1]
