"""The topics as an AsyncAPI 3.0 document, made from `schemas/` alone: for readers with other tools.

It describes what `payonce.codec` and `payonce.dead_letters` do and decides nothing; tests hold it against both.
"""

from payonce.asyncapi.contract import Contract, read_contract
from payonce.asyncapi.document import asyncapi_document

__all__ = ["Contract", "asyncapi_document", "read_contract"]
