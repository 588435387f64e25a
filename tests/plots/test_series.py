from __future__ import annotations

import numpy as np
import pytest

from ltlib.errors import SettingError
from ltlib.plots.series import Series


def test_series_reads_frames_mappings_and_runs() -> None:
    class Run:
        history = {"test_loss": [1, None, 3]}  # noqa: RUF012

    table = Series.of(Run())
    np.testing.assert_array_equal(table["test_loss"], [1, np.nan, 3])
    with pytest.raises(SettingError, match="no column 'train_loss'; it has test_loss"):
        table["train_loss"]
    assert len(table) == 3
    assert table.has("test_loss")
    assert not table.has("train_loss")
    with pytest.raises(SettingError, match="no column 'train_loss'"):
        Series.of(Run(), ["train_loss"])
