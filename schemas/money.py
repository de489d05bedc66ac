"""Money: whole minor units of one currency."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from schemas.base import Noun

_TWO = 2
# ISO 4217 list one, amendment 177: currencies whose minor unit is not one hundredth.
_EXPONENTS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3,
    "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip
# ISO 4217 list one: every currency of a country or union that can be paid in.
_CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD"
    " CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL"
    " GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF"
    " KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN"
    " MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD"
    " SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH"
    " UGX USD UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG".split()
)


def _known(code: str) -> str:
    if code not in _CURRENCIES:
        raise ValueError(f"{code} is not a currency of ISO 4217; write a code such as EUR or USD")
    return code


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_known)]
MOST = 2**62
MinorUnits = Annotated[int, Field(strict=True, ge=-MOST, le=MOST)]


def exponent(currency: str) -> int:
    """How many decimals the currency's main unit has: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency, _TWO)


def amount_text(minor_units: int, currency: str) -> str:
    """An amount as people write it, without thousands separators: 123456 EUR is ``1234.56``."""
    places = exponent(currency)
    sign = "-" if minor_units < 0 else ""
    digits = str(abs(minor_units)).rjust(places + 1, "0")
    return f"{sign}{digits}" if places == 0 else f"{sign}{digits[:-places]}.{digits[-places:]}"


def minor_units(amount: Fraction, currency: str) -> int:
    """Minor units of an amount in main units. Raises ValueError where it has a finer part."""
    scaled = amount * 10 ** exponent(currency)
    if scaled.denominator != 1:
        raise ValueError(f"{currency} has {exponent(currency)} decimals; the amount has more")
    return int(scaled)


class MoneyAmount(Noun):
    """Whole minor units, the currency, and the same amount as people write it."""

    minor_units: int
    currency: str
    amount: str

    @classmethod
    def of(cls, minor_units: int, currency: str) -> MoneyAmount:
        """The amount of so many minor units."""
        return cls(
            minor_units=minor_units, currency=currency, amount=amount_text(minor_units, currency)
        )
