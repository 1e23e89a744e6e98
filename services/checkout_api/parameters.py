"""What stands in addresses. The form is documented, not validated: a wrong id is unknown (404), not malformed."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path, Query

ORDER_ID = re.compile(r"ord_[a-z2-7]{26}")
#: The form of `t`: 32 bytes in base64url. Anything else is refused before it is compared or repeated in an answer.
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

OrderId = Annotated[str, Path(json_schema_extra={"pattern": f"^{ORDER_ID.pattern}$"})]
Token = Annotated[
    str, Query(description="Ties the link to its order and body", json_schema_extra={"pattern": f"^{TOKEN.pattern}$"})
]
Since = Annotated[str, Query(description="When this customer began to wait, unix seconds; set by us")]
