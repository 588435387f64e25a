"""Which weights a network begins from: what its setting ``weights`` may say, and what of that identifies a run.

- ``none``: drawn from the run's seed.
- a name, ``imagenet1k_v1``: published weights, listed in `PUBLISHED`. Name and sha256 (its first digits, where the
  publisher says no more) are known without the file, so a plan or a committed record needs no file.
- a file, ``/there/mine.safetensors``: identified by the sha256 of what is in it, never by where it lies.
- ``sha256:...``, 64 hexadecimal digits: the file with this content, looked for in ``LTLIB_WEIGHTS``. So a finished run
  says which file it began from.

A network takes part with a setting ``weights``, and ``register(..., instead=pretrained.instead(NAME))``; published
weights of it are an entry of `PUBLISHED`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ltlib.errors import SettingError, UnknownName
from ltlib.models import weight_files
from ltlib.models.published_weights import PUBLISHED, Published
from ltlib.registry import Spec, Value, format_spec, format_value

BY_DIGEST = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Chosen:
    """What a setting ``weights`` says.

    Attributes:
        sha256: Of the file, or the first digits of it; empty where a file was named and not looked at.
        path: The file, where the setting is one.
        published: Where the setting is a name.
    """

    sha256: str
    path: Path | None = None
    published: Published | None = None

    def identity(self) -> dict[str, str]:
        """What identifies a run that begins from them."""
        return ({"name": self.published.name} if self.published else {}) | {"sha256": self.sha256}

    def facts(self) -> dict[str, str]:
        """`identity` and the file's name, for people; not the folder it lies in."""
        file = self.published.file if self.published else self.path.name if self.path else ""
        return self.identity() | ({"file": file} if file else {})


def choose(network: str, settings: Mapping[str, Value]) -> Chosen | None:
    """What the setting ``weights`` says of a network; None for ``none``. Looks at no file.

    Args:
        network: Registered name.
        settings: All settings of the network.

    Raises:
        UnknownName: A name that is not of this network's weights.
        SettingError: Published weights for a network of other settings.
    """
    if settings["weights"] is None:
        return None
    text = format_value(settings["weights"])
    if _DIGEST.fullmatch(text):
        return Chosen(text.removeprefix(BY_DIGEST))
    if "/" in text or text.lower().endswith(weight_files.SUFFIXES):
        return Chosen("", Path(text).expanduser())
    known = PUBLISHED.get(network, {})
    if text not in known:
        raise UnknownName(f"weights of {network}", text, [*known, "none", "PATH.pth", "PATH.safetensors"])
    said = known[text]
    if any(settings.get(key) != wanted for key, wanted in said.needs.items()):
        right = format_spec(network, {**said.needs, "weights": text})
        raise SettingError(f"weights {text} do not fit {network} as it is set; write {right}")
    return Chosen(said.sha256, published=said)


def instead(network: str) -> Callable[[Mapping[str, Value]], dict[str, Any]]:
    """What stands in a network's identity in place of its setting ``weights``; for `Registry.register`.

    What is returned raises what `choose` does, and `DataError` for a file that is missing or cannot be read.
    """

    def found(settings: Mapping[str, Value]) -> dict[str, Any]:
        chosen = choose(network, settings)
        if chosen is not None and chosen.path is not None:
            chosen = replace(chosen, sha256=weight_files.sha256(chosen.path))
        return {} if chosen is None else {"weights": chosen.identity()}

    return found


def of(spec: Spec) -> Chosen | None:
    """The weights a network begins from, with the sha256 its identity has; None where they are drawn.

    Looks at no file.
    """
    if "weights" not in spec.instead:
        return None
    chosen = choose(spec.name, spec.settings)
    assert chosen is not None
    return replace(chosen, sha256=spec.instead["weights"]["sha256"])


def kept(spec: Spec) -> str | None:
    """How a finished run names its network: a file of weights by what is in it. None where no file is named."""
    chosen = spec.instead.get("weights", {})
    if not chosen or "name" in chosen:
        return None
    return format_spec(spec.name, {**spec.settings, "weights": BY_DIGEST + chosen["sha256"]})


def lines(network: str) -> list[str]:
    """A line on each published file of weights of a network."""
    found = []
    for one in PUBLISHED.get(network, {}).values():
        use = format_spec(network, {**one.needs, "weights": one.name})
        found.append(f"{use}: {one.file}, sha256 {one.digest}; {one.about}")
    return found
