"""Set-up where the home directory cannot be written: downloads go where the project is, and do not stay."""

import os
import subprocess

import pytest

from scripts.doctor import ROOT

PROGRAM = 'set -eu; . "$1"; if [ -n "${caches:-}" ]; then mkdir -p "$caches"; fi; echo "${npm_config_cache:-}"'


def cache_of_npm(folder, home):
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "npm_config_cache"}}
    command = ["bash", "-c", PROGRAM, "bash", str(ROOT / "scripts/package-caches")]
    run = subprocess.run(command, cwd=folder, env=environment | home, capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "/nonexistent/home"}])
def test_a_home_that_cannot_be_written_is_left_alone(tmp_path, home):
    assert cache_of_npm(tmp_path, home) == str(tmp_path / ".cache/downloads/npm")
    assert list((tmp_path / ".cache").iterdir()) == []


def test_elsewhere_the_caches_of_the_user_serve(tmp_path):
    assert cache_of_npm(tmp_path, {"HOME": str(tmp_path)}) == ""
