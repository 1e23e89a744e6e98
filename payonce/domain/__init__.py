"""The pure heart: money, messages, the order's facts and its status. No I/O, no clock, no randomness."""
