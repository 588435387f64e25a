"""Errors: one sentence, the built-in exception a Python caller expects, an exit code that is not 0."""

from __future__ import annotations

import inspect

from ltlib import errors


def test_every_error_has_a_failing_exit_code_and_is_an_ltlib_error() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, Exception)]
    assert len(classes) >= 8
    assert all(issubclass(item, errors.LtlibError) and item.exit_code > 0 for item in classes)


def test_unknown_name_lists_the_nearest_and_prints_no_quotes_around_itself() -> None:
    error = errors.UnknownName("method", "focall", ["ce", "focal", "supcon"])
    assert isinstance(error, KeyError)
    assert str(error) == "unknown method 'focall'; did you mean focal?"


def test_unknown_name_far_from_all_lists_what_is_known() -> None:
    assert str(errors.UnknownName("method", "zzz", ["focal", "ce"])) == "unknown method 'zzz'; known: ce, focal"
    assert str(errors.UnknownName("method", "zzz", [])).endswith("none is known")
    many = str(errors.UnknownName("method", "zzz", [f"m{i:02d}" for i in range(20)]))
    assert many.endswith("m11, ...")


def test_wrong_settings_are_value_errors() -> None:
    assert issubclass(errors.SettingError, ValueError)


def test_a_sentence_can_always_be_printed() -> None:
    for error in (errors.DataError("caf\udce9.png is damaged"), errors.SettingError("caf\udce9.png is damaged")):
        assert str(error) == "caf\\xe9.png is damaged"
    assert str(errors.UnknownName("class caf\udce9", "x", [])) == "unknown class caf\\xe9 'x'; none is known"
    assert errors.printable("é \udce9 ü") == "é \\xe9 ü"
    assert errors.printable("\ud83d").isascii()  # half a character
