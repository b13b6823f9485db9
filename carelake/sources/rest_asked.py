"""What a listing is asked for first: endpoint, parameters, headers and body, with the window in one of them."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

from carelake.source_kinds.rest import CursorPages, MoreListing, Pages, RestSettings, WindowText
from carelake.window import Window


class Asked:
    """The first request of a listing: endpoint, parameters, headers and body, the window in one of them.

    Args:
        more: another listing of the same records, asked for in the same way.
    """

    params: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] | None

    def __init__(self, rest: RestSettings, window: Window, more: MoreListing | None = None) -> None:
        rule = rest.incremental
        self.endpoint = more.endpoint if more else rest.endpoint
        self.params = dict(more.params if more else rest.params)
        self.headers = {}
        self.body = copy.deepcopy(rest.body) if rest.method == "POST" else None
        if rule is None:
            return
        if rule.window is not None:
            self.params = in_words(self.params, rule.window, window, rule.format)
            return
        times = [(rule.since_param, window.since), (rule.until_param, window.until)]
        said = {name: written(time, rule.format) for name, time in times if name and time}
        if rule.place == "header":
            self.headers |= said
        elif rule.place == "body":
            self.body = self.body or {}
            for name, time in said.items():
                _put(self.body, name, int(time) if rule.is_number else time)
        else:
            self.params |= said

    def go_on(self, pages: Pages, place: str) -> None:
        """Ask for what changed since the last reading.

        Args:
            place: what that reading left: the address that brings it, or a cursor.
        """
        if not isinstance(pages, CursorPages):
            self.endpoint, self.params = place, {}
        elif pages.place == "query":
            self.params[pages.param] = place
        else:
            self.body = self.body or {}
            _put(self.body, pages.param, place)


def _put(body: Any, path: str, value: str | int) -> None:
    """Set a member of a body by its dotted path; a number in it is a place in a list."""
    *above, last = path.split(".")
    for part in above:
        body = body[int(part)] if isinstance(body, list) else body.setdefault(part, {})
    body[int(last) if isinstance(body, list) else last] = value


def in_words(
    params: dict[str, str], text: WindowText | None, window: Window, form: str = "iso"
) -> dict[str, str]:
    """Parameters with the window where they say `{window}`."""
    words: list[str] = []
    if text is not None and window.since is not None:
        words.append(text.since.replace("{time}", written(window.since, form)))
    if text is not None and window.until is not None and text.until is not None:
        words.append(text.until.replace("{time}", written(window.until, form)))
    said = text.begin + text.between.join(words) if text is not None and words else ""
    return {name: value.replace("{window}", said) for name, value in params.items()}


def written(moment: dt.datetime, form: str) -> str:
    """A time as the service wants it."""
    utc = moment.astimezone(dt.UTC)
    if form == "epoch":
        return str(int(utc.timestamp()))
    if form == "epoch_ms":
        return str(int(utc.timestamp() * 1000))
    forms = {"iso": "%Y-%m-%dT%H:%M:%SZ", "date": "%Y-%m-%d"}
    return utc.strftime(forms.get(form, form))
