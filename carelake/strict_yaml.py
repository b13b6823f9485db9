"""Settings files, read so that nothing in them is lost, guessed or blown up.

YAML lets a key stand twice and takes the last, and lets a few lines unfold into gigabytes through
aliases. Neither is wanted in a file that says how a company's data are read.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_BYTES = 5_000_000
MAX_NODES = 100_000
"""Values in a file, aliases unfolded."""
MAX_DEPTH = 40


class Loader(yaml.SafeLoader):
    """YAML's safe loader that refuses repeated keys and files that unfold without end."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node, unless it lies too deep; asked before the parser's own stack is full."""
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError("nested too deeply")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def get_single_data(self) -> Any:
        """The document's value.

        Raises:
            yaml.YAMLError: it is not one document, or not a sound one.
        """
        node = self.get_single_node()
        if node is None:
            return None
        self._size(node, {})
        try:
            return self.construct_document(node)
        except (ValueError, OverflowError) as error:
            # 2024-02-30, or a number with more digits than Python takes
            raise yaml.constructor.ConstructorError(
                None, None, str(error)[:120], node.start_mark
            ) from error

    def _size(self, node: yaml.Node, known: dict[int, int]) -> int:
        """Values below a node; one that an alias repeats counts each time."""
        if id(node) in known:
            if known[id(node)] == 0:
                self._refuse(node, "an alias stands inside what it repeats")
            return known[id(node)]
        known[id(node)] = 0
        size = 1
        if isinstance(node, yaml.MappingNode):
            self._require_unique(node)
            for key, value in node.value:
                size += self._size(key, known) + self._size(value, known)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                size += self._size(item, known)
        if size > MAX_NODES:
            self._refuse(node, "holds too many values, aliases unfolded")
        known[id(node)] = size
        return size

    def _require_unique(self, node: yaml.MappingNode) -> None:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if (key.tag, key.value) in seen:
                self._refuse(key, f"key '{key.value[:60]}' stands twice")
            seen.add((key.tag, key.value))

    @staticmethod
    def _refuse(node: yaml.Node, problem: str) -> None:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def parse(text: str) -> Any:
    """The value in a YAML text.

    Raises:
        yaml.YAMLError: it is not sound YAML.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"longer than {MAX_BYTES:,} characters")
    loader = Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def problem(error: Exception) -> tuple[int | None, str]:
    """Line, where known, and what is wrong, in one line."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or (
        str(error) if isinstance(error, yaml.YAMLError) else "not UTF-8 text"
    )
    return (mark.line + 1 if mark else None), " ".join(str(what).split())[:160]
