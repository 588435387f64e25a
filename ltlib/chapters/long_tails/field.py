"""Tails in the field: what is public of Places and of iNaturalist 2017, which `awabs` motivates its work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltlib import published

if TYPE_CHECKING:
    import pandas as pd


def places_lt() -> list[int]:
    """Training images per class of Places-LT."""
    rows = published.field_counts()
    return [int(n) for n in rows.loc[rows["dataset"] == "places_lt", "train_images"]]


def super_categories() -> pd.DataFrame:
    """iNaturalist 2017's super-categories, largest first: ``item``, ``categories`` (species), ``train_images``."""
    rows = published.field_counts()
    rows = rows[rows["dataset"] == "inaturalist2017"].sort_values("train_images", ascending=False)
    return rows.astype({"categories": int, "train_images": int})


def inaturalist() -> pd.DataFrame:
    """The same for the eye, with the share of the images and the mean of a species."""
    import pandas as pd

    rows = super_categories()
    total = float(rows["train_images"].sum())
    table = []
    for name, species, images in zip(rows["item"], rows["categories"], rows["train_images"], strict=True):
        table.append([name, f"{species:,.0f}", f"{images:,.0f}", f"{images / total:.1%}", round(images / species)])
    return pd.DataFrame(table, columns=["super-category", "species", "training images", "share", "images a species"])


def field_sentence() -> str:
    """What the two sets of `awabs` figures 1.1 and 1.3 are here, and how they differ."""
    n, rows = sorted(places_lt(), reverse=True), super_categories()
    top = sum(n[: len(n) // 5]) / sum(n)
    return (
        f"Places-LT: {sum(n):,} images in {len(n)} classes, {n[0]:,} down to {n[-1]}, so its factor is "
        f"{n[0] / n[-1]:g}; a fifth of the classes holds {top:.0%} of the images. awabs plots the full Places set "
        f"instead. Of iNaturalist 2017 it plots {rows['categories'].sum():,} species; public totals go by "
        f"{len(rows)} super-categories, shown below."
    )
