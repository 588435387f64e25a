"""What a stage leaves behind."""

from __future__ import annotations

import math

from ltlib.training import outcome


def test_history_csv_keeps_every_digit_and_leaves_out_what_is_missing() -> None:
    rows = [{"epoch": 1, "train_loss": 0.1 + 0.2}, {"epoch": 2, "train_loss": math.nan, "test_loss": 1 / 3}]
    assert outcome.history_csv(rows) == ("epoch,train_loss,test_loss\n1,0.30000000000000004,\n2,,0.3333333333333333\n")
