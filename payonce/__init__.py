"""payonce: payment orders registered with the PSP exactly once.

What the processes under `services/` share. It starts nothing and decides nothing at import.
"""
