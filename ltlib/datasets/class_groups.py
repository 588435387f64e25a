"""Head, middle and tail: which classes belong to which group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ltlib.datasets.subsets import whole_numbers
from ltlib.errors import SettingError, UnknownName
from ltlib.registry import parse

GROUP_NAMES = ("head", "middle", "tail")
GROUP_RULES = ("thirds", "cuts", "thresholds")


def groups(
    class_counts: Sequence[int], rule: str | Mapping[str, Sequence[int]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Head, middle and tail classes.

    - None or ``thirds``: the classes by rank, largest first (ties: the lower class first); head and tail hold a third
      each, rounded to the nearest, the middle the rest: 3 / 4 / 3 of 10, 33 / 34 / 33 of 100.
    - ``cuts[sizes=36+35+29]``: that many classes by rank. Where class 0 is the largest these are the index cuts of
      MiSLAS (Zhong et al. 2021), 36 / 35 / 29 on CIFAR-100 and 3 / 4 / 3 on CIFAR-10 at every IF.
    - ``thresholds[many=100;few=20]``: head has more than `many` images, tail fewer than `few` (Liu et al. 2019, OLTR).
    - a mapping of these three names to class indices; classes may be left out.

    Args:
        class_counts: Training images per class.
        rule: See above.

    Returns:
        The three names, always; a group that no class belongs to is an empty tuple (its metrics are undefined, not 0).

    Raises:
        SettingError: Sizes that do not add up, classes named twice or out of range.
        UnknownName: Another rule, setting or group name.
    """
    if isinstance(rule, Mapping):
        return _named_groups(len(class_counts), rule)
    name, settings = parse(rule) if rule is not None else ("thirds", {})
    if name == "thresholds":
        many, few = settings.pop("many", 100), settings.pop("few", 20)
        _no_more(settings, name, ("many", "few"))
        if not isinstance(many, (int, float)) or not isinstance(few, (int, float)) or few > many + 1:
            raise SettingError(f"group rule {rule!r} needs two numbers, few no larger than many + 1")
        kinds = ["head" if count > many else "tail" if count < few else "middle" for count in class_counts]
        return {group: tuple(c for c, kind in enumerate(kinds) if kind == group) for group in GROUP_NAMES}
    if name == "cuts":
        given = settings.pop("sizes", ())
        _no_more(settings, name, ("sizes",))
        sizes = [n for n in given if type(n) is int and n >= 0] if isinstance(given, tuple) else []
        if not isinstance(given, tuple) or not len(sizes) == len(given) == 3 or sum(sizes) != len(class_counts):
            raise SettingError(
                f"group rule {rule!r} needs three sizes that add up to {len(class_counts)} classes, "
                "as in cuts[sizes=3+4+3]"
            )
        head, middle, _ = sizes
    elif name == "thirds":
        _no_more(settings, name, ())
        third = (2 * len(class_counts) + 3) // 6
        head, middle = third, len(class_counts) - 2 * third
    else:
        raise UnknownName("group rule", name, GROUP_RULES)
    ranked = sorted(range(len(class_counts)), key=lambda c: (-class_counts[c], c))
    parts = ranked[:head], ranked[head : head + middle], ranked[head + middle :]
    return {group: tuple(sorted(part)) for group, part in zip(GROUP_NAMES, parts, strict=True)}


def _named_groups(num_classes: int, rule: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    for name in rule:
        if name not in GROUP_NAMES:
            raise UnknownName("class group", name, GROUP_NAMES)
    named = {
        name: tuple(whole_numbers(f"classes of group {name}", list(rule.get(name, ()))).tolist())
        for name in GROUP_NAMES
    }
    members = [c for part in named.values() for c in part]
    if len(set(members)) < len(members) or any(not 0 <= c < num_classes for c in members):
        raise SettingError(f"class groups must name classes 0 to {num_classes - 1}, none of them twice")
    return named


def _no_more(settings: Mapping[str, object], rule: str, known: tuple[str, ...]) -> None:
    for name in settings:
        raise UnknownName(f"setting of group rule {rule}:", name, known)
