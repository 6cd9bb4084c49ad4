"""A page of the explorer in a browser, and what Python says that it should show."""

from __future__ import annotations

import time

from ibc.report.explorer.state import PageState, rank

COUNT, LENGTH, EXPERTS = 150, 70, 9  # images, bits, expert bits of a class
HOSTILE = "<img src=x onerror=window.hacked=1>"


class Page:
    """The page in a browser, with the few things that tests do to it."""

    def __init__(self, browser, index):
        self.browser, self.index = browser, index

    def go(self, address: str) -> None:
        self.browser.get("about:blank")
        self.browser.get(f"{self.index.as_uri()}#{address}")
        self.wait_for_it()

    def reload(self) -> None:
        self.browser.refresh()
        self.wait_for_it()

    def wait_for_it(self) -> None:
        self.wait(lambda: self.run("return Boolean(window.IBCExplorer && IBCExplorer.app)"))

    def run(self, script: str, *arguments):
        return self.browser.execute_script(script, *arguments)

    def all(self, selector: str):
        return self.browser.find_elements("css selector", selector)

    def click(self, selector: str, place: int = 0) -> None:
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, place)

    def texts(self, selector: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", selector)

    def shown(self) -> list[int]:
        """Numbers of the images in the grid, in order."""
        return self.run("return [...document.querySelectorAll('#grid .cell')].map((cell) => Number(cell.dataset.item))")

    def address(self) -> str:
        return self.run("return location.hash.slice(1)")

    def keys(self, *keys) -> None:
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def wait(self, condition, seconds: float = 20):
        """Until ``condition()`` is true."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        return found

    def measured(self) -> None:
        """Until counts and precision, which come a moment after the images, are there."""
        self.wait(lambda: self.run("return document.body.dataset.ready === "
                                   "IBCExplorer.writeState({...IBCExplorer.app.state, panel: null})"))


def first(signs, experts, examples=(), **state) -> list[int]:
    """The 60 images that the grid shows first: Python's ranking without the examples."""
    rows = rank(signs, PageState(**state), experts, top=len(signs)).rows.tolist()
    return [row for row in rows if row not in examples][:60]
