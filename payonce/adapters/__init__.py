"""One outside thing each: Kafka, PostgreSQL, Stripe, the clock. Only these files import their SDK."""
