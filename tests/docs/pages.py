"""The Markdown pages of the project: their code blocks, commands, headings and links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/*/*.md")])
GUIDES = [page for page in PAGES if page.name not in ("CHANGELOG.md", "RESULTS.md")]  # of the present, for users
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A code block: its page, its language ("" for commands) and its text."""

    page: Path
    language: str
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of these languages, in order."""
    return [Block(page, language, text) for language, text in _FENCE.findall(page.read_text(encoding="utf-8"))
            if language in languages]


def commands(page: Path) -> list[list[str]]:
    """The words of every command in the page's blocks; comments are left out, continued lines joined."""
    found = []
    for block in blocks(page, "", "bash", "sh"):
        text = ""
        for line in block.text.splitlines():
            text += line.removesuffix("\\") if line.endswith("\\") else f"{line}\n"
            if line.endswith("\\") or text.count('"') % 2:
                continue
            lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split, lexer.commenters = True, "#"
            words, text = list(lexer), ""
            while "&&" in words:
                found.append(words[: words.index("&&")])
                words = words[words.index("&&") + 1 :]
            found += [words] if words else []
    return found


def mentions(page: Path) -> list[str]:
    """Code within the text of the page, outside its blocks."""
    return _CODE.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> list[str]:
    """Addresses of links and images, outside code."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return _LINK.findall(_CODE.sub(lambda match: "x" * len(match[0]), text))


def anchors(page: Path) -> set[str]:
    """The anchors that forges give the page's headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    slugs: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        slugs.add(next(name for name in (slug, *(f"{slug}-{number}" for number in range(1, 99))) if name not in slugs))
    return slugs
