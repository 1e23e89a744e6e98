"""`payonce dlq`: the ops console's HTTP API from a terminal. It knows nothing that the API does not tell."""
