"""A page leads only to pages that are there, and every page is led to."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def targets(page: Path) -> list[Path]:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [one for one in links if "://" not in one and not one.startswith("mailto:")]
    return [(page.parent / one).resolve() for one in local]


def test_links_lead_somewhere() -> None:
    broken = [(page.name, str(to)) for page in PAGES for to in targets(page) if not to.exists()]
    assert broken == []


def test_every_page_is_led_to() -> None:
    led = {to for page in PAGES for to in targets(page)}
    folders = {one for one in led if one.is_dir()}
    alone = [
        page.name
        for page in PAGES
        if page.parent != ROOT and page not in led and page.parent not in folders
    ]
    assert alone == []
