"""What stands in addresses and headers. An id's form is documented, not validated: a wrong id is unknown (404)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header, Path, Query

ORDER_ID = re.compile(r"ord_[a-z2-7]{26}")
#: The form of `t`: 32 bytes in base64url. Anything else is refused before it is compared or repeated in an answer.
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

OrderId = Annotated[str, Path(json_schema_extra={"pattern": f"^{ORDER_ID.pattern}$"})]
Token = Annotated[
    str, Query(description="Ties the link to its order and body", json_schema_extra={"pattern": f"^{TOKEN.pattern}$"})
]
Since = Annotated[str, Query(description="When this customer began to wait, unix seconds; set by us")]
Prefer = Annotated[str | None, Header(description="`wait=N`: hold the answer up to N <= 30 seconds")]
Trace = Annotated[str | None, Header(alias="traceparent", description="W3C trace context")]
