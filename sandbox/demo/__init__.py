"""The demonstration: 200 orders by customers of every kind, and then the sums must agree.

It is a client app, a crowd of browsers and an analytics consumer; it looks at nothing that those could not see but
PostgreSQL, to hold what payonce recorded against what the customers did.
"""
