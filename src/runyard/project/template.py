"""The template of a project: that of the service, and the project's own entries in four sections.

`runyard vendor` replaces everything except the lines between START and END of each section.
"""

import re
from collections.abc import Mapping

from runyard.project.errors import ProjectError

SECTIONS = ("Parameters", "Conditions", "Resources", "Outputs")
START = "  # >>> Your own {section}. `runyard vendor` retains the lines up to <<<.\n"
END = "  # <<< Your own {section} end here.\n"
VENDOR = "vendor/runyard"
_HEADER = """\
# The service is from runyard-service {version}. `runyard vendor` replaces it with the installed
# version. Write your own entries between >>> and <<< in {sections}.
"""
# Folders that `runyard vendor` copies. The agents stay in the project.
_VENDORED = re.compile(
    r"^( +(?:CodeUri|ContentUri|DefinitionUri): )(functions|layers|statemachines)\b"
)
_ENTRY = re.compile(r"^  ([A-Za-z0-9]+):", re.MULTILINE)


def project_template(service: str, version: str, own: Mapping[str, str]) -> str:
    """Return the template of a project.

    `service` is the text of the service's template, `own` the lines of the project by section.
    Raise ProjectError if an entry of the project has the name of one of the service.
    """
    lines = [_HEADER.format(version=version, sections=", ".join(SECTIONS))]
    for line in service.splitlines(keepends=True):
        lines.append(_VENDORED.sub(rf"\1{VENDOR}/\2", line))
        if (section := line.removesuffix(":\n")) in SECTIONS:
            lines += [START.format(section=section), own.get(section, "")]
            lines.append(END.format(section=section))
    _check_names(service, own)
    return "".join(lines)


def own_entries(template: str) -> dict[str, str]:
    """Return the project's own lines by section. Raise ProjectError if a marker is missing."""
    found = {}
    for section in SECTIONS:
        start, end = START.format(section=section), END.format(section=section)
        _, has_start, rest = template.partition(start)
        own, has_end, _ = rest.partition(end)
        if not (has_start and has_end):
            missing = (end if has_start else start).strip()
            raise ProjectError(
                f"template.yaml lacks the line {missing!r}. Restore the line from git. Without"
                " git, move template.yaml away, run `runyard vendor`, and insert your own entries."
            )
        found[section] = own
    return found


def without_own_entries(template: str) -> str:
    """Return the template without the project's own lines, to compare it with the vendored one."""
    for section, own in own_entries(template).items():
        start, end = START.format(section=section), END.format(section=section)
        template = template.replace(start + own + end, start + end, 1)
    return template


def _check_names(service: str, own: Mapping[str, str]) -> None:
    for section, text in own.items():
        taken = set(_ENTRY.findall(_section(service, section))) & set(_ENTRY.findall(text))
        if taken:
            raise ProjectError(
                f"template.yaml: {section} of the service has {', '.join(sorted(taken))} too."
                " Rename your own entries."
            )


def _section(template: str, name: str) -> str:
    found = re.search(rf"^{name}:\n((?:[ #].*\n|\n)*)", template, re.MULTILINE)
    return found[1] if found else ""
