"""Every link of every page leads somewhere; the README is short; every page can be reached from it."""

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in links(page):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists() and target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_leads_to_every_page():
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150 and len(text.split()) <= 1200
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(readme)}
    assert set(ROOT.glob("docs/*.md")) <= linked


def test_only_files_that_a_page_names_are_kept():
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert {path for path in ROOT.glob("docs/**/*") if path.is_file() and path.suffix != ".md"} <= shown
