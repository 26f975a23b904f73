"""How Sphinx makes the site of the pages in this folder: ``tox -e docs``.

Pages are plain Markdown that a git host shows as it is. What only the site can do is done here:
navigation comes from ``_toc.yml``, links to files of the repository become their names, a picture
``x-light.png`` gets its dark twin beside it, and a drawing is a link to itself. Nothing is fetched
from elsewhere, neither when the site is made nor when it is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = html_title = "Underlay"
extensions = ["myst_parser", "sphinx_external_toc", "sphinx_copybutton"]
exclude_patterns = ["proof", "schemas", "*.py"]
# What is written as code in pages is sh, YAML and what commands print; nothing is Python alone.
highlight_language = "none"
nitpicky = True
# A command that goes on in the next line is no shell's to read; Pygments then does what it can.
suppress_warnings = ["misc.highlighting_failure"]

# Headings are linked to by the names that git hosts give them.
myst_heading_anchors = 4


def _pages() -> list[str]:
    here = Path(__file__).parent
    return [str(file.relative_to(here).with_suffix("")) for file in here.rglob("*.md")]


def _beside(page: str) -> list[str]:
    """Return what stands at a page's right: its headings, but where drawings need the room."""
    return [] if page == "index" or page.startswith("concepts/") else ["page-toc"]


html_theme = "pydata_sphinx_theme"
html_static_path = ["site"]
html_css_files = ["site.css"]
# The page of a run is a site of its own, and stays one file.
html_extra_path = ["run"]
FRONT = "coreos.html"
html_context = {"default_mode": "auto"}
# Excerpts would have to be fetched, which a browser doesn't do where there is no server.
html_show_search_summary = False
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
# The copy button takes commands, without their prompts and without what they print.
copybutton_prompt_text = r"\$ |> "
copybutton_prompt_is_regexp = True
html_sidebars: dict[str, list[str]] = {"index": []}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": {page: _beside(page) for page in _pages()},
    "show_prev_next": False,
    "footer_start": [],
    "footer_end": [],
    "back_to_top_button": False,
    "search_bar_text": "Search these pages",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Of the repository, but not of the site.
OUTWARD = re.compile(r"\[([^]]+)\]\((?:\.\./)+(?:src|tests|labs|ansible|examples)/[^)]*\)")
RUN = re.compile(r"\[([^]]+)\]\((?:\.\./)*run/([\w-]+\.html)\)")
WIDTH = re.compile(r'<svg[^>]* width="(\d+)"')
# How large drawings are shown. What is wider than its page can be scrolled.
SCALE = 0.85


def lead_to_files(_app: Sphinx, page: str, source: list[str]) -> None:
    """Turn links to files that aren't pages into what leads there from the site.

    One to the repository becomes plain text, one to the page of a run leads to the site's root.
    """
    source[0] = OUTWARD.sub(r"\1", source[0])
    source[0] = RUN.sub(rf'<a href="{_up(page)}\2">\1</a>', source[0])


def _up(page: str) -> str:
    return "../" * page.count("/")


class Pictures(SphinxTransform):
    """Shows ``x-dark.png`` instead of ``x-light.png`` while the page is dark; frames drawings."""

    # Before Sphinx collects the pictures that it copies (880).
    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Put each picture's twin behind it, of which the theme shows one; link drawings."""
        for picture in list(self.document.findall(nodes.image)):
            if picture["uri"].endswith("-light.png"):
                dark = picture.deepcopy()
                dark["uri"] = picture["uri"].replace("-light.png", "-dark.png")
                picture["classes"].append("only-light")
                dark["classes"].append("only-dark")
                picture.parent.insert(picture.parent.index(picture) + 1, dark)
                if self.env.docname == "index":
                    for one in (picture, dark):
                        _link(one, FRONT)
            elif picture["uri"].endswith(".svg"):
                self._frame(picture)

    def _frame(self, drawing: nodes.image) -> None:
        """Have a drawing as large as can be read, and link it to itself, to be opened alone."""
        file = Path(self.env.doc2path(self.env.docname)).parent / drawing["uri"]
        told = WIDTH.match(file.read_text(encoding="utf-8"))
        if told:
            drawing["width"] = f"{int(told[1]) * SCALE:.0f}px"
        drawing.parent["classes"].append("drawn")
        _link(drawing, f"{_up(self.env.docname)}_images/{file.name}")


def _link(picture: nodes.image, place: str) -> None:
    link = nodes.reference("", "", refuri=place, internal=True)
    picture.replace_self(link)
    link += picture


def setup(app: Sphinx) -> None:
    """Have Sphinx call both."""
    app.connect("source-read", lead_to_files)
    app.add_transform(Pictures)
