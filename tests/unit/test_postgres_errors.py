"""A driver error in our words: away or try again, bad data, or a bug that ends the process."""

from __future__ import annotations

import psycopg2
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from payonce.adapters.postgres import translated
from payonce.ports import StoreRejected, StoreUnavailable


class _DriverError(psycopg2.OperationalError):
    """An error of the driver with the server's code, as libpq reports it."""

    def __init__(self, code: str | None) -> None:
        super().__init__("the server said no")
        self._code = code

    @property
    def pgcode(self) -> str | None:  # type: ignore[override]
        return self._code


def error(code: str | None, *, connection_invalidated: bool = False) -> DBAPIError:
    return OperationalError("SELECT 1", {}, _DriverError(code), connection_invalidated=connection_invalidated)


@pytest.mark.parametrize(
    "code",
    [
        *["40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "25006", "53300", "53200", "53100", "58030"],
        *["25P03", "57P05"],  # silent for too long: the process was frozen
    ],
)
def test_what_passes_is_an_absence_not_a_bug(code: str) -> None:
    """A full disk (53100) once ended the fold and the worker as if it were a mistake of theirs."""
    assert isinstance(translated(error(code)), StoreUnavailable)


def test_a_lost_connection_is_an_absence() -> None:
    assert isinstance(translated(error(None)), StoreUnavailable)
    assert isinstance(translated(error("42601", connection_invalidated=True)), StoreUnavailable)


@pytest.mark.parametrize("code", ["22001", "22P05", "23505", "23514", "54000"])
def test_data_that_the_tables_refuse_are_rejected(code: str) -> None:
    """An id too long for an index (54000) once ended the fold again and again, whatever stood behind it."""
    assert isinstance(translated(error(code)), StoreRejected)


@pytest.mark.parametrize("code", ["42P01", "42703", "42501", "0A000"])
def test_a_missing_table_or_a_wrong_statement_stays_what_it_is(code: str) -> None:
    found = error(code)

    assert translated(found) is found
