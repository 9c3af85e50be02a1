"""The HTTP API: one file per thing it serves. Endpoints hold no SQL and import no torch."""
