"""Money as Stripe counts it: how many decimals each currency has, and which amounts can be charged at all.

Amounts are integers in the currency's minor unit. The exponents are Stripe's, not ISO 4217's: ISO gives ISK and UGX no
decimals, Stripe wants them with two that are 00, so a table made from ISO would be wrong by a factor of 100. Minimum
and maximum charges are not here: they depend on the account's settlement currency, and only Stripe knows them.
"""

from __future__ import annotations


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Counted in whole units: 500 JPY is 500.
ZERO_DECIMAL = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
#: Counted in thousandths, but the last digit must be 0: 5.12 KWD is 5120.
THREE_DECIMAL = _codes("bhd jod kwd omr tnd")
#: Without decimals in daily life, counted in hundredths that must be 00: 5 ISK is 500.
WHOLE_UNITS_IN_HUNDREDTHS = _codes("isk ugx")
#: Counted in hundredths: 12.34 EUR is 1234.
TWO_DECIMAL = _codes("""
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc cve
    czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd kzt lak
    lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar
    ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd xcg yer
    zar zmw
""")
#: In ISO 4217, but not among the currencies that Stripe charges in: told apart from a misspelling in the error.
NOT_CHARGED = _codes("""
    bov btn che chw clf cou cup ern ghs iqd irr kpw lyd mru mxv sdg ssp stn svc syp tmt usn uyi uyw ved ves xad xag xau
    xba xbb xbc xbd xdr xpd xpt xsu xts xua xxx zwg
""")

_EXPONENTS: dict[str, int] = {
    **dict.fromkeys(ZERO_DECIMAL, 0),
    **dict.fromkeys(THREE_DECIMAL, 3),
    **dict.fromkeys(TWO_DECIMAL | WHOLE_UNITS_IN_HUNDREDTHS, 2),
}
#: Amounts must be a multiple of this; 1 where nothing is said.
_STEPS: dict[str, int] = {**dict.fromkeys(THREE_DECIMAL, 10), **dict.fromkeys(WHOLE_UNITS_IN_HUNDREDTHS, 100)}


class MoneyError(ValueError):
    """The amount cannot be charged in that currency; the message says what to send instead."""


def exponent(currency: str) -> int:
    """Return how many decimals Stripe counts in this lower-case ISO 4217 code. Raises MoneyError if it takes none."""
    if (decimals := _EXPONENTS.get(currency)) is not None:
        return decimals
    if currency.lower() in _EXPONENTS:
        raise MoneyError(f"currency {currency!r} must be in lower case: {currency.lower()!r}")
    if currency.lower() in NOT_CHARGED:
        raise MoneyError(f"currency {currency!r} is in ISO 4217, but the PSP does not charge in it")
    raise MoneyError(f"currency {currency!r} is not an ISO 4217 code that the PSP charges in, such as 'eur' or 'jpy'")


def check_amount(amount: int, currency: str) -> None:
    """Raise MoneyError unless `amount` minor units of `currency` can be charged. Pure."""
    decimals = exponent(currency)
    if amount <= 0:
        raise MoneyError(f"amount {amount} must be positive, in the minor unit of {currency} ({decimals} decimals)")
    step = _STEPS.get(currency, 1)
    if amount % step:
        below = amount - amount % step
        nearest = f"{below} or {below + step}" if below else f"{step}"
        raise MoneyError(
            f"amount {amount} {currency} must be a multiple of {step}, because {currency} is counted with {decimals}"
            f" decimals of which the last {len(str(step)) - 1} must be 0: send {nearest}"
        )


def major(amount: int, currency: str) -> str:
    """Return the amount in major units with all decimals that Stripe counts: '12.34', '500', '5.120', '-0.05'."""
    decimals = exponent(currency)
    if decimals == 0:
        return str(amount)
    whole, fraction = divmod(abs(amount), 10**decimals)
    return f"{'-' if amount < 0 else ''}{whole}.{fraction:0{decimals}d}"
