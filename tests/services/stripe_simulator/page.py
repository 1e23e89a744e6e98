"""A page of HTML as a test reads it, without a browser."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """A page's forms, labels and text; remembers whether its elements close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.inputs: list[dict[str, str]] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "label":
            self.labelled.append(attributes["for"])
        if tag == "input":
            self.inputs.append(attributes)
        self.addresses += [attributes[name] for name in ("src", "href", "action") if name in attributes]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def hidden(self, name: str) -> str:
        return next(item["value"] for item in self.inputs if item.get("name") == name)
