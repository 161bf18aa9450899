"""Headless Chromium, if there is one, and what a page says and asks for while it is open in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = 390, 1280

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed; on Debian: apt install chromium")


@contextmanager
def headless_browser() -> Iterator[Any]:
    """A running browser; the test is skipped where Playwright's Python package is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's Python package is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=list(QUIETLY))
        yield browser
        browser.close()


def listen(page: Any, heard: list[str]) -> None:
    """Have ``heard`` filled with what a page says, what fails in it, and what it asks for from elsewhere."""
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("requestfailed", lambda request: heard.append(request.url[:100]))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else heard.append(asked.url),
    )


def open_first_tab(context: Any) -> tuple[Any, list[str]]:
    """A tab for the pages of several tests, and what they say: a tab takes longer to start than a page to load."""
    tab, heard = context.new_page(), []
    listen(tab, heard)
    return tab, heard


def require_silence(heard: list[str]) -> None:
    """Nothing was heard since the last test; the next begins anew, whatever was."""
    said = heard.copy()
    heard.clear()
    assert said == []
