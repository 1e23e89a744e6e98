"""Who calls: bearer tokens of operators, and what each role may do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.ops_console.dependencies import Parts
from services.ops_console.operators import Operator, Role
from services.ops_console.refusals import Refused

_bearer = HTTPBearer(auto_error=False, description="Your operator token", scheme_name="operator_token")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="payonce ops"'}


def _admits(*roles: Role) -> Callable[[Parts, _Credentials], Coroutine[Any, Any, Operator]]:
    async def admit(parts: Parts, credentials: _Credentials) -> Operator:
        operator = parts.operators.current().by_token(credentials.credentials) if credentials else None
        if operator is None:
            raise HTTPException(401, "send a valid operator token: Authorization: Bearer ...", _CHALLENGE)
        if not operator.roles.intersection(roles):
            raise Refused("missing_role", f"this needs the role {' or '.join(roles)}", status=403)
        return operator

    return admit


Viewer = Annotated[Operator, Depends(_admits("viewer", "operator", "approver"))]
Acting = Annotated[Operator, Depends(_admits("operator"))]
Approving = Annotated[Operator, Depends(_admits("approver"))]
