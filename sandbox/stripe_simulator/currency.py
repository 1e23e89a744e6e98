"""Currencies as Stripe counts them (docs.stripe.com/currencies): not the exponents of ISO 4217."""

from __future__ import annotations

_ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())  # noqa: SIM905 - a list of words
_THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())  # noqa: SIM905 - a list of words
# Without decimals in fact, but sent with two that must be 00.
_TWO_ZEROES = frozenset({"isk", "ugx"})
_TWO_DECIMAL = frozenset(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc "  # noqa: SIM905 - a list of words
    "cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd "
    "kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php "
    "pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs "
    "wst xcd yer zar zmw".split()
)
CURRENCIES = _ZERO_DECIMAL | _THREE_DECIMAL | _TWO_ZEROES | _TWO_DECIMAL
_SYMBOLS = {"eur": "€", "usd": "$", "gbp": "£", "jpy": "¥"}


def fault_of_amount(amount: int, currency: str) -> str | None:
    """Say why Stripe refuses this amount in minor units, or None."""
    if currency in _THREE_DECIMAL and amount % 10:
        return f"Amounts in {currency.upper()} have three decimals of which the last must be 0"
    if currency in _TWO_ZEROES and amount % 100:
        return f"Amounts in {currency.upper()} have no decimals: the last two digits must be 00"
    return None


def format_amount(amount: int, currency: str) -> str:
    """Write an amount in minor units for a person, such as €1,234.50."""
    decimals, scale = _decimals(currency)
    whole, rest = divmod(abs(amount), 10**scale)
    number = f"{whole:,}" + (f".{rest:0{scale}d}"[: decimals + 1] if decimals else "")
    sign = "-" if amount < 0 else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{currency.upper()} {number}"


def minor_units_divisor(currency: str) -> int:
    """Say by what an amount in minor units is divided to give the currency's unit."""
    return int(10 ** _decimals(currency)[1])


def _decimals(currency: str) -> tuple[int, int]:
    """How many decimals are shown, and how many digits of the amount are decimals."""
    if currency in _ZERO_DECIMAL:
        return 0, 0
    if currency in _TWO_ZEROES:
        return 0, 2
    return (3, 3) if currency in _THREE_DECIMAL else (2, 2)
