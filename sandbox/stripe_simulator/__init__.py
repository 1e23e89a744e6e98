"""A stateful double of the part of Stripe that payonce uses, written from Stripe's documented behaviour only.

It imports neither payonce nor stripe, holds everything in memory, and refuses what it does not simulate with a 400.
"""
