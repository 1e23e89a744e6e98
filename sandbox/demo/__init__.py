"""The demonstration: orders by customers of every kind, then every life a payment can have; and the sums must agree.

It is a client app, a crowd of browsers and an analytics consumer. It looks at nothing that those could not see but
PostgreSQL and the PSP's own books, to hold what payonce recorded against what happened.
"""
