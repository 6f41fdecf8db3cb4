"""Opening exports: what is refused, in which words, and without TensorFlow."""

import json
import shutil
import subprocess
import sys

import programs
import pytest

from vagram_tf.config import EnvConfig
from vagram_tf.export.load import FORMAT, check_export, environment_of, open_export

pytestmark = pytest.mark.slow


@pytest.fixture
def export(tmp_path):
    """A copy of a dynamics export that a test may spoil."""
    _, directory = programs.finished_run()
    return shutil.copytree(directory / "export" / "dynamics" / "90", tmp_path / "90")


def test_export_is_opened_with_its_metadata():
    _, directory = programs.finished_run()
    opened = open_export(directory / "export" / "policy" / "90", "policy")
    assert opened.module([[0.0, 1.0, 0.0]])["action"].shape == (1, 1)
    assert (opened.metadata["format"], opened.metadata["kind"]) == (FORMAT, "policy")
    assert opened.environment == EnvConfig("programs:Short-v0")


def test_environment_comes_with_its_distractors():
    metadata = {
        "environment": "Hopper-v5",
        "distractors": 3,
        "distractor_kind": "noise",
        "distractor_seed": 4,
    }
    assert environment_of(metadata) == EnvConfig("Hopper-v5", 3, "noise", 4)


def test_wrong_kind_is_refused(export):
    with pytest.raises(
        ValueError, match=r"90 is an export of kind 'dynamics'; expected is 'policy'$"
    ):
        check_export(export, "policy")


def test_directory_that_is_no_export_is_refused(export):
    with pytest.raises(ValueError, match="nowhere is no export: it has no metadata.json$"):
        check_export(export / "nowhere", "dynamics")
    with pytest.raises(ValueError, match=f"did you mean {export}\\?$"):
        check_export(export.parent, "dynamics")


@pytest.mark.parametrize(
    "metadata, words",
    [
        ("{", "metadata.json is not JSON"),
        ("[]", "metadata.json is not a JSON object"),
        ("{}", "was written by an earlier version of vagram_tf"),
        (
            '{"format": 999}',
            f"has export format 999; this version of vagram_tf reads format {FORMAT}$",
        ),
    ],
)
def test_other_metadata_is_refused(export, metadata, words):
    (export / "metadata.json").write_text(metadata)
    with pytest.raises(ValueError, match=words):
        check_export(export, "dynamics")


def test_damage_is_noticed(export):
    (export / "metadata.json").write_text(
        json.dumps(check_export(export, "dynamics") | {"environment": "Hopper-v5"})
    )
    with pytest.raises(
        ValueError, match="90 is damaged: metadata.json does not match its checksum$"
    ):
        check_export(export, "dynamics")


def test_what_tensorflow_cannot_load_is_refused_in_one_line(export):
    (export / "saved_model.pb").write_bytes(b"no such thing")
    programs.rewrite_manifest(export)
    with pytest.raises(ValueError, match="90 cannot be loaded by TensorFlow") as refusal:
        open_export(export, "dynamics")
    assert "\n" not in str(refusal.value)


def test_checking_does_not_load_tensorflow(export):
    code = (
        "import sys; from vagram_tf.export.load import check_export; check_export(sys.argv[1], "
        "'dynamics')\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(export)], cwd=programs.ROOT, check=True)
