"""How a seat's shell prints texts: wrapped by words, and Markdown as it is meant.

Only on a terminal: elsewhere each line stays as it was written, for whoever looks for something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.text import Text
from rich.theme import Theme

from underlay.cli.console import out
from underlay.cli.wrapping import wrapped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

# rich's own would put a black box around each word of code, on terminals that may be white.
THEME = Theme({"markdown.code": "bold cyan", "markdown.h1": "bold", "markdown.h2": "bold"})


class _Picture(CodeBlock):
    """What stands preformatted, character by character: rich would colour and frame it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = str(self.text).rstrip().splitlines()
        yield Text("\n".join(f"    {line}" for line in lines), no_wrap=True, overflow="ignore")


class _Title(Heading):
    """A title at the left, in a line of its own: rich would centre it in a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Told(Markdown):
    """Markdown as a course has it: prose and pictures."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Title,
        "code_block": _Picture,
        "fence": _Picture,
    }


def tell(text: str, *, style: str = "", indent: int = 0) -> None:
    """Print ``text``, lines of words; what they are broken into hangs by ``indent`` columns."""
    out.print(wrapped(text, out.width if out.is_terminal else 0, indent=indent), style=style)


def tell_markdown(text: str) -> None:
    """Print ``text``, which is Markdown."""
    if not out.is_terminal:
        out.print(text.strip())
        return
    with out.use_theme(THEME):
        # A picture that is too wide is better broken than cut.
        out.print(_Told(text.strip(), hyperlinks=False), soft_wrap=False, crop=False)
