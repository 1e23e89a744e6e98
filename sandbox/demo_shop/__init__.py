"""A small tea-ware shop: a client app of payonce, and an example of how one is written.

It knows payonce by its HTTP API and by the signature of its redirects only. It keeps nothing but memory: no accounts,
no stock, no shipping.
"""
