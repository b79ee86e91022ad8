"""MkDocs hooks: add generated references, Mermaid, and links to files outside docs/.

MkDocs calls each `on_…` function; mkdocs.yml names this file.
"""

import json
import posixpath
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

# MkDocs loads this file by its path, so that the folder of its modules is not importable yet.
sys.path.insert(0, str(Path(__file__).parent))
from openapi_pages import render_api
from settings_pages import render_outputs, render_parameters, render_settings

REPOSITORY = Path(__file__).parents[2]
# The build replaces each marker by generated content.
GENERATED = {
    "<!-- api reference -->": lambda: render_api(_openapi()),
    "<!-- settings -->": lambda: render_settings(_settings_module()),
    "<!-- template parameters -->": lambda: render_parameters(_template()),
    "<!-- template outputs -->": lambda: render_outputs(_template()),
}
MERMAID = REPOSITORY / "tools/docs_site/node_modules/mermaid/dist/mermaid.min.js"
MERMAID_URI = "assets/javascripts/mermaid.min.js"
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]+)\]\((?P<target>[^)\s#:]+)(#[^)\s]*)?\)")
# The theme would load these two from another host if the browser or the page lacked them. The page
# has Mermaid, and every current browser has ResizeObserver.
_FOREIGN_SCRIPT = re.compile(r'"https://[^"/]+/(mermaid@|resize-observer)[^"]*"')


def on_files(files: Any, config: MutableMapping[str, Any]) -> Any:
    """Add Mermaid to the site's files. Raise PluginError if npm has not installed it."""
    if not MERMAID.is_file():
        raise PluginError(f"{MERMAID.relative_to(REPOSITORY)} is missing; `make docs` installs it.")
    files.append(File.generated(config, MERMAID_URI, abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page with its generated parts and with links that work on the site."""
    for marker, render in GENERATED.items():
        if marker in markdown:
            markdown = markdown.replace(marker, render())
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")
    return _LINK.sub(lambda link: _site_link(link, folder), markdown)


def _openapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_text("openapi.json"))
    return document


def _template() -> str:
    return _text("template.yaml")


def _settings_module() -> str:
    (path,) = REPOSITORY.glob("layers/core/*/settings.py")
    return path.read_text(encoding="utf-8")


def _text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def _site_link(link: re.Match[str], folder: str) -> str:
    """Return the link, or the file's path as code if the file is not part of the site."""
    path = posixpath.normpath(posixpath.join(folder, link["target"]))
    if path.startswith(("docs/", "..")) or not (REPOSITORY / path).exists():
        return link[0]
    text = link["text"].strip("`")
    return f"`{path}`" if text in path else f"{link['text']} (`{path}`)"


def on_post_build(config: MutableMapping[str, Any], **_: Any) -> None:
    """Remove the foreign address from the theme's script: the site loads nothing from outside."""
    for script in Path(config["site_dir"]).glob("assets/javascripts/bundle.*.js"):
        text = script.read_text(encoding="utf-8")
        script.write_text(_FOREIGN_SCRIPT.sub('"about:blank"', text), encoding="utf-8")
