"""The Dockerfile: a Python that the package takes, files that are there, the README's job."""

import json
import re
import shlex

import programs
from packaging.specifiers import SpecifierSet

TEXT = (programs.ROOT / "Dockerfile").read_text()


def test_its_python_is_one_that_the_package_takes():
    project = (programs.ROOT / "pyproject.toml").read_text()
    (taken,) = re.findall(r'^requires-python = "(.*)"', project, re.MULTILINE)
    (version,) = re.findall(r"^FROM python:([\d.]+)", TEXT, re.MULTILINE)
    assert version in SpecifierSet(taken)


def test_it_installs_requirements_that_are_there():
    copied = re.findall(r"^COPY (\S+) \.$", TEXT, re.MULTILINE)
    installed = re.findall(r"-r (\S+)", TEXT)
    assert copied == [*installed, "."] and installed
    assert all((programs.ROOT / name).is_file() for name in installed)


def test_its_command_is_the_job_of_the_readme():
    (command,) = re.findall(r"^CMD (.*)$", TEXT, re.MULTILINE)
    assert shlex.join(json.loads(command)) in (programs.ROOT / "README.md").read_text()
