"""The chaos run: a whole world under steady traffic while its parts are killed, frozen, cut off and filled up.

It injects faults by a seeded plan, lifts them, waits, and compares; it repairs nothing that a supervisor would not
repair, and it never touches what the faults are held against: the PSP's memory and the customers.
"""
