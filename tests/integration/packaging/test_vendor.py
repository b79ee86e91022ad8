"""`runyard vendor` on small files: what it writes, retains, removes and rejects."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runyard.project.errors import ProjectError
from runyard.project.service_files import ServiceFiles
from runyard.project.vendor import MANIFEST, TEMPLATE, vendor

_TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: { Type: String }
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
Resources:
  # The agents.
  AgentsLayer:
    Properties:
      ContentUri: agents
  Api:
    Properties:
      CodeUri: functions/api

  Machine:
    Properties:
      DefinitionUri: statemachines/run.asl.json
Outputs:
  Url: { Value: 1 }
"""
_FIRST = ServiceFiles(
    "0.1.0",
    _TEMPLATE,
    {"functions/api/handler.py": b"1", "functions/api/run.sh": b"2", "functions/old/a/b.py": b"3"},
)
_SECOND = ServiceFiles(
    "0.2.0",
    _TEMPLATE.replace("Url: {", "NewUrl: {"),
    {"functions/api/handler.py": b"10", "functions/api/run.sh": b"2", "functions/new/c.py": b"4"},
)
_OWN = "  Mine:\n    Type: AWS::SNS::Topic\n"
_START = "  # >>> Your own Resources. `runyard vendor` retains the lines up to <<<.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with agents, and with the first version of the service."""
    (tmp_path / "agents").mkdir()
    vendor(tmp_path, _FIRST)
    return tmp_path


def content(project: Path) -> dict[str, bytes]:
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file()
    }


def add_own_resource(project: Path, text: str = _OWN) -> None:
    template = project / TEMPLATE
    template.write_text(template.read_text().replace(_START, _START + text))


def test_the_template_names_the_vendored_folders_and_the_agents_of_the_project(
    project: Path,
) -> None:
    template = (project / TEMPLATE).read_text()
    assert "CodeUri: vendor/runyard/functions/api" in template
    assert "DefinitionUri: vendor/runyard/statemachines/run.asl.json" in template
    assert "ContentUri: agents" in template
    assert "0.1.0" in template.splitlines()[0]
    assert (project / "vendor/runyard/functions/api/run.sh").stat().st_mode & 0o111


def test_a_second_call_changes_nothing(project: Path) -> None:
    add_own_resource(project)
    before = content(project)
    changes = vendor(project, _FIRST)
    assert (changes.added, changes.changed, changes.removed) == ([], [], [])
    assert content(project) == before


def test_an_upgrade_reports_every_change_and_retains_what_is_own(project: Path) -> None:
    add_own_resource(project)
    (project / "vendor/runyard/notes.txt").write_text("mine")
    changes = vendor(project, _SECOND)
    assert (changes.before, changes.after) == ("0.1.0", "0.2.0")
    assert changes.added == ["vendor/runyard/functions/new/c.py"]
    assert changes.changed == [TEMPLATE, "vendor/runyard/functions/api/handler.py"]
    assert changes.removed == ["vendor/runyard/functions/old/a/b.py"]
    assert not (project / "vendor/runyard/functions/old").exists()
    template = (project / TEMPLATE).read_text()
    assert _START + _OWN in template
    assert "NewUrl" in template
    assert "0.2.0" in template.splitlines()[0]
    assert (project / "vendor/runyard/notes.txt").read_text() == "mine"
    assert json.loads((project / MANIFEST).read_text())["version"] == "0.2.0"
    vendor(project, _FIRST)
    assert (project / "vendor/runyard/functions/old/a/b.py").exists(), "an older version, too"


@pytest.mark.parametrize(
    "edited",
    ["vendor/runyard/functions/api/handler.py", "vendor/runyard/functions/old/a/b.py", TEMPLATE],
    ids=["of both versions", "of the older version", "the template"],
)
def test_an_edited_file_is_replaced_only_with_force(project: Path, edited: str) -> None:
    add_own_resource(project)
    path = project / edited
    path.write_text(path.read_text() + "# edited\n")
    before = content(project)
    with pytest.raises(ProjectError, match=edited):
        vendor(project, _SECOND)
    assert content(project) == before, "nothing is written"
    vendor(project, _SECOND, force=True)
    assert "# edited" not in (path.read_text() if path.exists() else "")
    assert _OWN in (project / TEMPLATE).read_text()


def test_a_file_of_the_user_at_the_path_of_a_new_file_counts_as_edited(project: Path) -> None:
    new = project / "vendor/runyard/functions/new/c.py"
    new.parent.mkdir()
    new.write_text("mine")
    with pytest.raises(ProjectError, match=r"new/c\.py"):
        vendor(project, _SECOND)


def test_a_deleted_file_comes_back(project: Path) -> None:
    (project / "vendor/runyard/functions/api/handler.py").unlink()
    assert vendor(project, _FIRST).added == ["vendor/runyard/functions/api/handler.py"]


def test_an_interrupted_upgrade_is_continued(project: Path) -> None:
    """The manifest is written last: some files are then of the new version already."""
    (project / "vendor/runyard/functions/api/handler.py").write_bytes(b"10")
    (project / "vendor/runyard/functions/old/a/b.py").unlink()
    assert vendor(project, _SECOND).changed == [TEMPLATE]


def test_two_entries_of_one_name_are_rejected(project: Path) -> None:
    add_own_resource(project, "  NewTopic:\n    Type: AWS::SNS::Topic\n")
    taken = _SECOND.template.replace("  Api:\n", "  NewTopic: {}\n  Api:\n")
    before = content(project)
    with pytest.raises(ProjectError, match="Resources of the service has NewTopic"):
        vendor(project, replace(_SECOND, template=taken))
    assert content(project) == before


def test_a_template_without_its_markers_is_rejected(project: Path) -> None:
    template = project / TEMPLATE
    template.write_text(template.read_text().replace("  # <<< Your own Outputs end here.\n", ""))
    for force in (False, True):
        with pytest.raises(ProjectError, match="lacks the line '# <<< Your own Outputs"):
            vendor(project, _SECOND, force=force)


def test_a_folder_that_is_no_project_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no folder agents/.*runyard new NAME"):
        vendor(tmp_path, _FIRST)
    (tmp_path / TEMPLATE).write_text(_TEMPLATE)
    with pytest.raises(ProjectError, match="is not from `runyard vendor`"):
        vendor(tmp_path, _FIRST)
    assert content(tmp_path) == {TEMPLATE: _TEMPLATE.encode()}


@pytest.mark.parametrize(
    "manifest",
    [
        "{",
        "[]",
        '{"version": "1"}',
        '{"version": "1", "files": {"../secret": "x"}}',
        '{"version": "1", "files": {"vendor/runyard/../../secret": "x"}}',
        '{"version": "1", "files": {"README.md": "x"}}',
    ],
)
def test_an_invalid_manifest_removes_nothing(project: Path, manifest: str) -> None:
    (project / MANIFEST).write_text(manifest)
    before = content(project)
    with pytest.raises(ProjectError, match=r"manifest\.json is not valid"):
        vendor(project, _SECOND, force=True)
    assert content(project) == before
